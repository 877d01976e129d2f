"""A page in Chromium: at a width, in a colour scheme, with or without scripts; and what axe-core finds in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.faults.browser import CHROMIUM, FLAGS

DESKTOP, PHONE = 1280, 390


def available() -> bool:
    """Whether there are a browser, what drives it, and axe-core."""
    return bool(CHROMIUM) and all(map(find_spec, ("playwright", "axe_playwright_python")))


@contextmanager
def opened(path: Path, width: int = DESKTOP, scheme: Any = "light", scripts: bool = True) -> Iterator[Any]:
    """The page of this file, loaded; fails where it says anything to the browser's console."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        page = context.new_page()
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(path.as_uri())
        yield page
        browser.close()
        assert messages == []


def violations(page: Any) -> list[str]:
    """What axe-core finds in a page whose folded parts are open: the rule, what it wants, and the elements."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:160] for node in rule['nodes'][:3]]}"
        for rule in Axe().run(page).response["violations"]
    ]
