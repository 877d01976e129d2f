"""Whether a text names something, where names take endings: "в Москве" names Moskva, "Roomassa" Rooma.

English names take none, so that an English text must have the name as it is. Which language a text is in is told by its
script and by words that English sentences have.
"""

import re
import unicodedata

import regex

from lib.core.texts import contains, normalize
from lib.core.words import words

FUNCTION_WORDS = frozenset(
    """
    a an the is are was were be been has have had by in of on at to for from with as into since until than about between
    under over near after and which who that whose it its his her their named called year
    """.split()  # noqa: SIM905 - read as words
)
_ENGLISH = FUNCTION_WORDS - {"a", "an", "in", "on", "at", "to", "as", "be", "under", "over", "it", "had", "her", "his"}
"""Words that hardly another language has."""
_STEM, _ENDING, _ADDED, _DROPPED = 4, 3, 4, 2
"""Letters of the shortest stem, of the longest ending in place of one of _DROPPED letters, and of one that is added."""
_SHORTEST, _LONG_STEM = 3, 5
"""Letters of a name that an ending is added to, and of a stem after which endings may be longer."""
_FEW_WORDS = 4
_LATIN = regex.compile(r"\p{Latin}")
_ENDINGS_ADDED = regex.compile(
    r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Armenian}\p{Georgian}\p{Devanagari}\p{Bengali}\p{Gujarati}\p{Gurmukhi}"
    r"\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Ethiopic}]"
)
"""Letters of scripts in which names take endings."""
_PLURAL = re.compile(r"(?<=[^\W\d_]{3})(ie)s\b|(?<=[^\W\d_]{4})(?<![sui])s\b")
_CASE = re.compile(r"(?<=[\u0370-\u03ff\u0400-\u04ff]{4})[аеиоуыэюяёіїєйьмхαειουωσςηνάέήίόύώ]{1,3}\b")
"""Endings of words of four letters, or five, and more: what comes before them is the same in another number or case."""


def mentions(text: str, name: str, beside: str = "") -> bool:
    """Whether `text` has the words of `name`, in order and without a gap, each as it is or with another ending.

    Args:
        beside: a text of the same language, which helps to tell it.
    """
    if contains(text, name):
        return True
    if not _takes_endings(f"{beside} {text}"):
        return False
    text_words, parts = _bare(text), _bare(name)
    starts = range(len(text_words) - len(parts) + 1) if parts else range(0)
    return any(all(map(_is_inflected, parts, text_words[start : start + len(parts)])) for start in starts)


def _takes_endings(text: str) -> bool:
    """Whether names in this text may have endings: not in English, nor in a text too short to tell."""
    if not _ENDINGS_ADDED.search(text):
        return False
    if not _LATIN.search(text):
        return True
    text_words = words(text)
    tells = not text.isascii() or len(text_words) >= _FEW_WORDS
    return tells and not _ENGLISH.intersection(text_words)


def _bare(text: str) -> list[str]:
    """The words, those of alphabets with cases without accents, which come and go with endings (Kraków, Krakowie)."""
    return [_without_accents(word) for word in words(text)]


def _without_accents(word: str) -> str:
    if word == word.upper():  # a script without cases: its marks are vowels
        return word
    parts = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in parts if unicodedata.category(letter) != "Mn")


def _is_inflected(name: str, word: str) -> bool:
    """Whether both are one name with different endings."""
    if name == word:
        return True
    stem = next((n for n, (a, b) in enumerate(zip(name, word, strict=False)) if a != b), min(len(name), len(word)))
    dropped, added = len(name) - stem, len(word) - stem
    if not name.isalpha() and not any(unicodedata.category(letter)[0] == "M" for letter in name):
        return False
    return (dropped == 0 and stem >= _SHORTEST and added <= _ADDED) or (
        stem >= _STEM and dropped <= _DROPPED and added <= _ENDING + (stem > _LONG_STEM) * _DROPPED
    )


def comparable(text: str) -> str:
    """The words of a text without their endings: equal for texts that differ in number or case alone."""
    return _CASE.sub("", _PLURAL.sub(lambda ending: "y" if ending[1] else "", normalize(text)))
