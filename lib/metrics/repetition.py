"""Whether a text goes on as a text does, or repeats itself: seen in the text alone, without a model.

A text repeats itself where a unit of one to PERIODS words comes more than twice in a row ("Paris 2023 Paris 2023
Paris"), or a unit of one to LETTERS letters, or a sign, comes COPIES times in a row ("nnnnn", "....."). Case does not
count, nor do signs between words.
"""

import re
from collections.abc import Sequence

PERIODS = 4
"""Words of the longest unit that is looked for."""
LETTERS = 4
"""Letters of the longest unit that is looked for inside of words, and in scripts without spaces."""
COPIES = 5
"""So many copies of letters, or of a sign, in a row are a repetition: "www", "hahaha" and "..." are none."""
_CHARACTERS_REPEATED = re.compile(rf"([^\W\d_]{{1,{LETTERS}}}?|[^\w\s])\1{{{COPIES - 1},}}")


def repeats(text: str) -> bool:
    """Whether a text repeats itself."""
    folded = text.casefold()
    words = _words(folded)
    return any(_recurs(words, period) for period in range(1, PERIODS + 1)) or bool(_CHARACTERS_REPEATED.search(folded))


def is_sane_after(text: str, target: str) -> bool:
    """Whether a text that begins with `target` goes on sanely: no repetition, and not with `target` once more.

    A text may end with the target.
    """
    target_words = _words(target.casefold())
    tail = _words(text.strip()[len(target.strip()) :].casefold())
    return not repeats(text) and not (target_words and tail[: len(target_words)] == target_words)


def _words(text: str) -> list[str]:
    """Words, and numbers whole: "1,000,000" is one."""
    return re.findall(r"\d+(?:[.,]\d+)+|\w+", text)


def _recurs(words: Sequence[str], period: int) -> bool:
    """Whether more than two copies of `period` words follow each other: 2 period + 1 words at least."""
    run = 0
    for earlier, word in zip(words, words[period:], strict=False):
        run = run + 1 if word == earlier else 0
        if run > period:
            return True
    return False
