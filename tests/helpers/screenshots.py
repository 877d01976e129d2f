"""The screenshots of docs/, made again from what they show.

python -m tests.helpers.screenshots page report/index.html                 # docs/page-*.png, by Chromium
tmux capture-pane -ep | python -m tests.helpers.screenshots terminal TITLE docs/terminal.svg
"""

import re
import sys
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from tests.helpers.browser import DESKTOP, PHONE, opened
from tests.helpers.doc_pictures import DOCS

PAGES = (("desktop", DESKTOP, 900), ("phone", PHONE, 780))
_WITHOUT_FONTS = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's picture of a terminal, which fetches nothing."""
_DIM = "\x1b[0;38;2;150;150;150m"
"""Dim text in a grey of a contrast of about 6 with the background; rich's is of less than 3."""


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
    legible = re.sub(r"\x1b\[(?:0;)?2m", _DIM, output.rstrip())
    lines = list(AnsiDecoder().decode(legible))
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
