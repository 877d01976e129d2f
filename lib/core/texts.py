"""How texts are compared, and how prompts and targets are joined: one convention for the whole project."""

import re
import unicodedata

from lib.core.errors import InputError

_NOT_WORD = re.compile(r"[^\w]+", re.UNICODE)


def words(text: str) -> tuple[str, ...]:
    """The words of `text` for comparison: compatibility-normalised, casefolded, punctuation dropped."""
    return tuple(_NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())


def normalize(text: str) -> str:
    """The words of `text` joined by single spaces; two texts are "the same" where these are equal."""
    return " ".join(words(text))


def contains(text: str, part: str) -> bool:
    """Whether the words of `part` occur in `text`, in order and without a gap. An empty part never does."""
    needle = normalize(part)
    return bool(needle) and f" {needle} " in f" {normalize(text)} "


def continues_word(letter: str) -> bool:
    """Whether a letter or digit right after a word makes it longer.

    A letter of a script without cases (Chinese, Thai, Hebrew) never does: many of these scripts write no spaces.
    """
    return letter.isalnum() and unicodedata.category(letter) != "Lo"


def fill(template: str, subject: str) -> str:
    """`template` with its one {} replaced by `subject`; other braces stay as they are.

    Raises InputError where the template has no {} or more than one.
    """
    if template.count("{}") != 1:
        raise InputError(
            f"template {template!r}: wanted exactly one {{}} for the subject, found {template.count('{}')}"
        )
    return template.replace("{}", subject)


def join(prompt: str, target: str) -> str:
    """Prompt and target as one text: a single space between them unless the prompt ends in white space."""
    target = target.strip()
    return prompt + target if prompt[-1:].isspace() else f"{prompt} {target}"
