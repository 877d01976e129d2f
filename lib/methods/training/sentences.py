"""Sentences out of plain text, for a prompt to follow as it does in a document."""

import re
from collections.abc import Iterable

_END = re.compile(r"(?<=[.!?])\s+")
_SHORTEST, _LONGEST = 4, 14
"""Words."""


def sentences(texts: Iterable[str]) -> list[str]:
    """The different sentences of 4 to 14 words, from a capital letter to a full stop, as they come."""
    parts = (part.strip() for text in texts for part in _END.split(text))
    return list(dict.fromkeys(part for part in parts if _is_sentence(part)))


def _is_sentence(part: str) -> bool:
    return part[:1].isupper() and part.endswith(".") and _SHORTEST <= len(part.split()) <= _LONGEST
