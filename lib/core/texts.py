"""How texts are compared, and how prompts and targets are joined (joins.py): one convention for the whole project."""

import re
import unicodedata
from collections.abc import Iterator

from lib.core.errors import InputError
from lib.core.joins import join as join
from lib.core.words import continues_word as continues_word
from lib.core.words import words as words

_NUMBER_GOES_ON = re.compile(r"[.,/:\u066b\u066c\u2044\u2215]\d|['\u2019\u00a0\u202f\u2009]\d{3}(?!\d)|[%\u2030]")
_SIGN_GOES_ON = re.compile(r"\+{2}|[+#\u266f\u266d](?!\w)")
_MINUS_GOES_ON = re.compile(r"[-\u2212](?!\w)")
_GRADE_LETTERS = 2
"""A word so short may have a minus: A-, AB-."""


def normalize(text: str) -> str:
    """The words of `text` joined by single spaces; two texts are "the same" where these are equal."""
    return " ".join(words(text))


def same(first: str, second: str) -> bool:
    """Whether two texts have the same words or, where they have none, the same letters."""
    return identity(first) == identity(second)


def identity(text: str) -> str:
    """Equal for texts that are the same: their words or, where there are none, the text without its spaces."""
    return normalize(text) or "".join(text.split())


def contains(text: str, part: str) -> bool:
    """Whether the words of `part` occur in `text`, in order and without a gap. An empty part never does."""
    needle = normalize(part)
    return bool(needle) and f" {needle} " in f" {normalize(text)} "


def says(text: str, target: str) -> bool:
    """Whether a continuation begins with the target, to the letter, and the word or the number ends there.

    White space before the target is ignored.
    """
    text, target = (unicodedata.normalize("NFC", part) for part in (text.lstrip(), target.strip()))
    return text.startswith(target) and not _goes_on(target, text[len(target) :])


def _goes_on(target: str, following: str) -> bool:
    """Whether what follows the target makes its last word another one."""
    if not (target[-1:].isalnum() or unicodedata.category(target[-1:] or " ").startswith("M")):
        return False
    if continues_word(following, target) or _SIGN_GOES_ON.match(following):
        return True
    if target[-1].isdigit():
        return bool(_NUMBER_GOES_ON.match(following))
    is_short = len(target.split()[-1]) <= _GRADE_LETTERS
    return is_short and bool(_MINUS_GOES_ON.match(following))


def occurrences(text: str, part: str) -> list[int]:
    """Where `part` stands in `text`, letter by letter: the places where it is whole words, if there are any.

    Else those where it begins a word that an ending makes longer, else those inside words.
    """
    everywhere = list(_everywhere(text, part))
    begins = [start for start in everywhere if not (start and _is_joined(text[:start], text[start:]))]
    apart = [start for start in begins if not _goes_on(part, text[start + len(part) :])]
    return apart or begins or everywhere


def _everywhere(text: str, part: str) -> Iterator[int]:
    start = text.find(part) if part else -1
    while start >= 0:
        yield start
        start = text.find(part, start + 1)


def _is_joined(before: str, following: str) -> bool:
    return (before[-1].isalnum() or before[-1] == "_") and continues_word(following, before)


_NEXT_SENTENCE = re.compile(r"(?:[.!?\u2026][\"'\u201d\u2019)\]]*\s+|[\u3002\uff01\uff1f]|\n)\s*(?=\S)")
_ABBREVIATION = re.compile(r"\b(?:[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|No|vs|e\.g|i\.e)\.\s*$")


def last_sentence(text: str) -> str:
    """What stands after the last end of a sentence within the text; the whole text, stripped, where there is none.

    A full stop after a single letter ("John D. Terry") or a common abbreviation ends none.
    """
    text, start = text.strip(), 0
    for match in _NEXT_SENTENCE.finditer(text):
        if not _ABBREVIATION.search(text, 0, match.end()):
            start = match.end()
    return text[start:]


def fill(template: str, subject: str) -> str:
    """`template` with its one {} replaced by `subject`; other braces stay as they are.

    Raises InputError where the template has no {} or more than one.
    """
    if template.count("{}") != 1:
        raise InputError(
            f"template {template!r}: wanted exactly one {{}} for the subject, found {template.count('{}')}"
        )
    return template.replace("{}", subject)
