"""Texts of data as a page shows them: literal, and without an effect on the words of the page beside them."""

import re
import unicodedata
from typing import Any

from markupsafe import Markup

_REORDERING = frozenset(("R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))
"""Bidirectional classes (Unicode Annex 9) of letters after which what follows may stand in another order."""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Letters that XML 1.0 cannot hold in any form."""
_MARKS = re.compile(
    r"[\\`*{}\[\]<>&|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=http):(?=//)|(?<=https):(?=//)|(?<=www)\.",
    re.IGNORECASE,
)
"""What Markdown takes for more than itself within a line, with GitHub's and the hub's additions to it."""


def reorders(text: str) -> bool:
    """Whether a text has letters that put what follows it in another order."""
    return any(unicodedata.bidirectional(letter) in _REORDERING for letter in text)


def isolated(value: Any) -> Any:
    """A value for a page: a text that reorders what follows it in a <bdi> of its own, anything else as it is."""
    if isinstance(value, str) and not isinstance(value, Markup) and reorders(value):
        return Markup("<bdi>{}</bdi>").format(value)
    return value


def bare(text: str) -> Markup:
    """A text where a page can have no element, as in its title: escaped only."""
    return Markup.escape(text)


def in_xml(text: str) -> str:
    """A text for XML, each letter that it cannot hold as U+FFFD."""
    return _NO_XML.sub("\ufffd", text)


def in_markdown(text: str) -> str:
    """A text in one line of Markdown, not at its start, that shows it to the letter and reorders nothing beside it."""
    marked = _MARKS.sub(lambda mark: f"\\{mark.group()}", " ".join(text.split()))
    return f"\u2068{marked}\u2069" if reorders(marked) else marked
