"""What is packed into rows (packing.py): a prompt as token ids, with the targets after it."""

from collections.abc import Sequence
from dataclasses import dataclass

ROW_TOKENS = (32, 48, 64, 96, 128)
"""Rows are as long as the longest item or one of these, whatever leaves the least to compute."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A prompt and the targets to be scored after it, as token ids. The prompt has at least one token."""

    prompt: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """Tokens that the item takes in a row."""
        return len(self.prompt) + sum(len(target) - 1 for target in self.targets)

    @property
    def pair_length(self) -> int:
        """Tokens that are read of the prompt with the longest of its targets, whose last one is only predicted."""
        return len(self.prompt) + max(map(len, self.targets)) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """What takes so many tokens in a row, for batches of something other than items."""

    length: int


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens the two begin with alike."""
    shorter = min(len(first), len(second))
    return next((n for n in range(shorter) if first[n] != second[n]), shorter)
