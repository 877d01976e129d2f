
"use strict";
// All content is there without this: it adds a search to the edits, and takes tables that fit out of the order of the Tab key.
const reachable = () => document.querySelectorAll(".scroll").forEach((region) => {
  if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
  else region.removeAttribute("tabindex");
});
addEventListener("resize", reachable);
document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", reachable));
reachable();

const form = document.querySelector(".filter");
if (form) {
  const edits = [...document.querySelectorAll("#all-edits > li")];
  const words = edits.map((edit) => edit.textContent.toLowerCase());
  const filter = () => {
    const wanted = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = form.elements.state.value;
    edits.forEach((edit, index) => {
      edit.hidden = !((state === "all" || edit.dataset.state === state) && wanted.every((word) => words[index].includes(word)));
    });
    const count = edits.filter((edit) => !edit.hidden).length;
    form.querySelector("output").value = `${count} of ${edits.length} edits`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
