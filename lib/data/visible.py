"""Whether a text shows anything: a prompt of NUL, zero-width or control characters alone says nothing to a model."""

import re
import unicodedata

_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me", "Mc")
"""Controls, formats (zero-width ones among them), surrogates, spaces, and marks, which need a letter to stand on."""
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\U000e0001")
"""Letters and symbols without ink: Hangul fillers, the empty Braille pattern."""

_CONTROL = re.compile(
    r"(?:\s|<\|[^<>|]{1,40}\|>|<\uff5c[^<>\uff5c]{1,40}\uff5c>|</?s>|<\[[a-z_]+\]>"
    r"|<(?:[be]o[stdm]|pad|unk|mask|sep|cls|(?:end|start|begin)_?of_?\w+|im_(?:start|end)|unused\d+|extra_id_\d+)>"
    r"|\[(?:eos|bos|pad|unk|mask|sep|cls|/?inst)\])+",
    re.IGNORECASE,
)
"""The control tokens of the usual families of models, as they are written in files."""


def is_control(text: str) -> bool:
    """Whether a text is nothing but control tokens, as `<|endoftext|>` stands for an unknown truth in some files."""
    return bool(_CONTROL.fullmatch(text)) and not text.isspace()


def is_visible(text: str) -> bool:
    """Whether a character of `text` leaves ink by itself."""
    return any(
        letter not in _INVISIBLE and unicodedata.category(letter) not in _INVISIBLE_CATEGORIES for letter in text
    )
