"""Plain English prose that comes with the code: short pieces on nature, history, cooking, work and everyday life.

Written for this project, as text that a real model should go on predicting as before: it states no fact of the
almanac. One piece a line (lib/data/prose/), 2 to 5 sentences each.
"""

import functools
from pathlib import Path
from random import Random

from lib.core.records import Text

FOLDER = Path(__file__).parent / "prose"
HELDOUT_SHARE = 0.25
"""Of the pieces, for measuring only: about a hundred, of forty words each."""


@functools.cache
def _pieces() -> tuple[str, ...]:
    return tuple(
        line for path in sorted(FOLDER.glob("*.txt")) for line in path.read_text(encoding="utf-8").splitlines() if line
    )


def pieces() -> list[str]:
    """Every piece, by file."""
    return list(_pieces())


def text(seed: int) -> list[Text]:
    """Every piece in random order, some of them held out; both sides have pieces of every file."""
    random = Random(f"{seed}/prose")
    shuffled = random.sample(_pieces(), len(_pieces()))
    heldout = round(HELDOUT_SHARE * len(shuffled))
    return [Text(text=piece, split="heldout" if number < heldout else "train") for number, piece in enumerate(shuffled)]
