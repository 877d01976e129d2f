"""The pictures of docs/ are of the report's style: each is drawn from the numbers beside it."""

import re

from tests.helpers.doc_pictures import DOCS, doc_pictures
from tests.helpers.imports import ROOT
from tests.helpers.screenshots import terminal_picture


def test_every_picture_of_the_docs_is_what_its_numbers_give() -> None:
    stale = [str(path) for path, content in doc_pictures() if path.read_text(encoding="utf-8") != content]
    assert stale == [], "renew them: python -m tests.helpers.doc_pictures"


def test_every_picture_that_a_page_names_is_there_and_has_numbers_or_words_in_its_stead() -> None:
    pages = [ROOT / "README.md", *DOCS.glob("*.md")]
    named = [
        (page, alt, name) for page in pages for alt, name in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", page.read_text())
    ]
    assert named
    assert [name for page, _, name in named if not (page.parent / name).is_file()] == []
    assert [name for _, alt, name in named if len(alt.split()) < 3] == []


def test_a_terminals_picture_has_what_it_printed_in_its_colours_and_fetches_nothing() -> None:
    picture = terminal_picture("\x1b[1m$ errata fix\x1b[0m\n+  facts   \x1b[31m5 s\x1b[0m\n", "errata fix")
    assert all(text in picture.replace("&#160;", " ") for text in ("$ errata fix", "+  facts", "5 s"))
    assert len(set(re.findall(r"fill: (#\w+)", picture))) > 1
    assert "url(" not in picture.replace("url(#", "")
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")
