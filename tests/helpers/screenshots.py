"""The screenshots of docs/, made again from what they show.

python -m tests.helpers.screenshots page report/index.html                 # docs/page-*.png, by Chromium
tmux capture-pane -ep | python -m tests.helpers.screenshots terminal TITLE docs/terminal.svg
"""

import re
import sys
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from tests.helpers.browser import DESKTOP, PHONE, opened
from tests.helpers.doc_pictures import DOCS

PAGES = (("desktop", DESKTOP, 900), ("phone", PHONE, 780))
_WITHOUT_FONTS = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's picture of a terminal, which fetches nothing."""


def page_pictures(page: Path, folder: Path) -> list[Path]:
    """The top of a page on a desktop and on a phone, light and dark, as PNG files in `folder`."""
    paths = []
    for name, width, height in PAGES:
        for scheme in ("light", "dark"):
            path = folder / f"page-{name}-{scheme}.png"
            with opened(page, width, scheme) as browser_page:
                browser_page.set_viewport_size({"width": width, "height": height})
                browser_page.screenshot(path=path)
            paths.append(path)
    return paths


def terminal_picture(output: str, title: str) -> str:
    """What a terminal printed, with its colours, as SVG; as wide as its longest line."""
    lines = [Text.from_ansi(line.rstrip()) for line in output.rstrip().splitlines()]
    width = max(line.cell_len for line in lines)
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line, no_wrap=True, crop=True)
    return console.export_svg(title=title, theme=DIMMED_MONOKAI, code_format=_WITHOUT_FONTS, unique_id="terminal")


def main() -> None:
    """The page's pictures, or a terminal's."""
    kind, *arguments = sys.argv[1:]
    if kind == "page":
        for path in page_pictures(Path(arguments[0]).resolve(), DOCS):
            print(path)
        return
    title, target = arguments
    Path(target).write_text(terminal_picture(sys.stdin.read(), title) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
