// The headings of a sortable table become buttons that sort it; cells that hold nothing stay at the end.
document.querySelectorAll("table.sortable").forEach((table) => {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const status = document.querySelector("[data-sorted]");
  const content = (row, index) => {
    const cell = row.cells[index];
    if (!("value" in cell.dataset)) return cell.textContent.trim();
    return cell.dataset.value === "" ? "" : Number(cell.dataset.value);
  };
  const compare = (first, second) => typeof first === "number" ? first - second : first.localeCompare(second);
  const sort = (head, index) => {
    const before = head.getAttribute("aria-sort");
    const direction = before ? (before === "ascending" ? "descending" : "ascending") : head.dataset.first;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [content(row, index), row]);
    rows.sort(([first], [second]) => first === "" || second === ""
      ? (first === "") - (second === "") : sign * compare(first, second));
    body.append(...rows.map(([, row]) => row));
    const title = table.closest("section").querySelector("h2").textContent;
    status.textContent = `${title}: sorted by ${head.textContent.trim()}, ${direction}.`;
  };
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head, index));
    head.append(button);
  });
  status.textContent = "Press a heading to sort by it.";
});
