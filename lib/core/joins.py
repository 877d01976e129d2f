"""How a prompt and its target become one text: by what stands on both sides, as people write it.

A space stands between two words. None stands in a script that is written without spaces, after what opens (brackets,
quotes, a currency, a number's sign), after and before what ties words together, and before what closes.
"""

import re
import unicodedata
from typing import Literal

from lib.core.words import is_hangul, is_unspaced

Separator = Literal["space", "nothing"]
"""What a file may say; otherwise the texts themselves do."""
_QUOTES = "\"'`"
_TIES = "-\u2010\u2011\u2012\u2013\u2014/\\_=^"
_PREFIXES = "#@+~\u00b1\u2212"
_OPENS = "\u00bf\u00a1"
_CLOSES = ".,;:!?%\u2030\u2026\u00b0"
_POSSESSIVE = re.compile(r"['\u2019]s\b")
_TIED = re.compile(r"[-\u2010\u2011][^\W\d_]")


def join(prompt: str, target: str, separator: Separator | None = None) -> str:
    """Prompt and target as one text."""
    target = target.strip()
    if prompt[-1:].isspace() or separator == "nothing" or (separator is None and not is_parted(prompt, target)):
        return prompt + target
    return f"{prompt} {target}"


def is_parted(prompt: str, target: str) -> bool:
    """Whether a space stands between a prompt and a target that have none at their ends."""
    before, last, first = prompt[:-1], prompt[-1:], target[:1]
    if not last or not first:
        return True
    return not (_opens(before, last, target) or _closes(last, target) or _is_without_spaces(prompt, last, first))


def _opens(before: str, last: str, target: str) -> bool:
    """Whether the prompt's last character is written onto what follows."""
    is_apart = not before or before[-1].isspace() or unicodedata.category(before[-1]) in ("Ps", "Pi")
    category = unicodedata.category(last)
    if category == "Ps" or last in _OPENS:
        return True
    if category == "Pi" or last in _QUOTES:
        return is_apart
    if category == "Sc":
        return not before.rstrip()[-1:].isdigit()
    if last in _PREFIXES or last in "-\u2013":
        is_number = target[:1].isdigit() or (last in "#@" and target[:1].isalnum())
        return is_number if is_apart else last in _TIES or last == "@"
    return last in _TIES and not is_apart


def _closes(last: str, target: str) -> bool:
    """Whether the target's beginning is written onto what stands before it."""
    if not last.isalnum() and unicodedata.category(last)[0] not in "MP":
        return False
    first, second = target[0], target[1:2]
    if first in _CLOSES:
        return not second.isalnum() or first == "\u00b0"
    if unicodedata.category(first) in ("Pe", "Pf", "Mn", "Mc") or _POSSESSIVE.match(target):
        return True
    return bool(_TIED.match(target)) and last.isalpha()


def _is_without_spaces(prompt: str, last: str, first: str) -> bool:
    """Whether one of the two is of a script without spaces, or a wide sign of one."""
    if is_unspaced(last) or _is_wide_sign(last) or _is_wide_sign(first):
        return True
    return is_unspaced(first) and not is_hangul(last) and any(map(is_unspaced, prompt))


def _is_wide_sign(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "FW" and unicodedata.category(letter)[0] == "P"
