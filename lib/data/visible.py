"""Whether a text shows anything: a prompt of NUL, zero-width or control characters alone says nothing to a model."""

import unicodedata

_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me", "Mc")
"""Controls, formats (zero-width ones among them), surrogates, spaces, and marks, which need a letter to stand on."""
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\U000e0001")
"""Letters and symbols without ink: Hangul fillers, the empty Braille pattern."""


def is_visible(text: str) -> bool:
    """Whether a character of `text` leaves ink by itself."""
    return any(
        letter not in _INVISIBLE and unicodedata.category(letter) not in _INVISIBLE_CATEGORIES for letter in text
    )
