"""A page in Chromium, and what is wrong with how it shows hostile texts."""

import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.faults.hostile import MARKER

CHROMIUM = os.environ.get("ERRATA_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
WIDTHS = (1280, 390)
"""CSS pixels: a desktop, a phone."""
_SETTLED = 300
"""Milliseconds in which handlers of an injected element would have run."""
_LEAKING = """() => {
  const walker = document.createTreeWalker(document.body ?? document.documentElement, NodeFilter.SHOW_TEXT);
  const leaks = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    let holder = node.parentElement;
    if (!/[\\u202a-\\u202e\\u2066-\\u2069]/.test(node.data) || holder.closest("script, style")) continue;
    while (holder.localName !== "bdi" && getComputedStyle(holder).display === "inline") holder = holder.parentElement;
    if (holder.textContent.trim() !== node.data.trim()) leaks.push(holder.outerHTML.slice(0, 200));
  }
  return leaks;
}"""
"""Texts with marks of direction that are not alone in their block or <bdi>: they reorder what stands beside them."""


def missing() -> str:
    """What this machine lacks to open a page; empty where it lacks nothing."""
    if not CHROMIUM:
        return "no Chromium: ERRATA_CHROMIUM names none, and none is on PATH"
    return "" if find_spec("playwright") else "no playwright: requirements-dev.txt has it"


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield chromium
        finally:
            chromium.close()


def problems(chromium: Any, path: Path, texts: Iterable[str], is_ours: bool = True) -> list[str]:
    """What is wrong with the page of this file, in words, each once; nothing where all is right.

    Args:
        chromium: what `browser` gives.
        path: an HTML page, or an SVG picture.
        texts: what it must show to the letter; of white space only that there is some.
        is_ours: whether the page is one of the project's own templates, which says nothing to the console, not even a
            warning, and fits into every width, its tables scrolling by themselves.
    """
    seen = [problem for width in WIDTHS for problem in _at_width(chromium, path, list(texts), width, is_ours)]
    return list(dict.fromkeys(seen))


def _at_width(chromium: Any, path: Path, texts: list[str], width: int, is_ours: bool) -> list[str]:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page, wrong = context.new_page(), list[str]()
    page.add_init_script(f"window.{MARKER} = () => console.error('a script of the data ran')")
    page.on("console", lambda message: wrong.extend(_said(message, is_ours)))
    page.on("pageerror", lambda error: wrong.append(f"error: {str(error)[:200]}"))

    def dismiss(dialog: Any) -> None:
        wrong.append(f"dialog: {dialog.message[:200]}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("request", lambda request: wrong.extend(_asked_for(request.url, path)))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.wait_for_timeout(_SETTLED)
    injected = page.locator(
        f"[id*={MARKER}], [class*={MARKER}], [onerror], [onload], iframe, base, img:not([src^=data])"
    )
    wrong += [f"element: {html[:200]}" for html in injected.evaluate_all("all => all.map((part) => part.outerHTML)")]
    wrong += [f"reorders what is beside it: {html}" for html in page.evaluate(_LEAKING)]
    page_text = _folded(page.evaluate("(document.body ?? document.documentElement).textContent"))
    wrong += [f"not shown: {text[:100]!r}" for text in texts if _folded(text) not in page_text]
    if is_ours and (scrolled := page.evaluate("document.documentElement.scrollWidth")) > width:
        wrong.append(f"wider than its window: {scrolled} of {width}")
    context.close()
    return wrong


def _said(message: Any, is_ours: bool) -> list[str]:
    return [f"console: {message.text[:200]}"] if is_ours or message.type == "error" else []


def _asked_for(url: str, path: Path) -> list[str]:
    return [] if url == path.as_uri() or url.startswith("data:") else [f"asked for {url[:200]}"]


def _folded(text: str) -> str:
    """The text with single spaces, in the form in which facts are kept (NFC)."""
    return " ".join(unicodedata.normalize("NFC", text).split())
