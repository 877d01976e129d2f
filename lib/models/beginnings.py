"""Items whose prompts begin alike, such as questions in one chat template: what they share is read once.

A prompt in a chat template begins with some twenty tokens that all of them have. Of what a step of the default trains
on, that is a fifth to a quarter of all tokens. An edit in context puts hundreds or thousands before every prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lib.models.items import ROW_TOKENS, Item, common

LEAST = 16
"""Tokens of a beginning that is worth sharing: with it a group's items come to stand in one stretch of a row."""
LONGEST = ROW_TOKENS[-1]
"""Tokens of a group, unless it shares more than half of them: attention over a row grows with its length squared."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """Items that share the first tokens of their prompts."""

    indices: Sequence[int]
    """Of the items, whose targets come in this order."""
    shared: int
    """Tokens that they share; of one item by itself its prompt's."""

    def length(self, items: Sequence[Item]) -> int:
        """Tokens that the items take together: of several items, the rest of a prompt comes again with each target."""
        if len(self.indices) == 1:
            return items[self.indices[0]].length
        return self.shared + sum(
            len(items[index].prompt) - self.shared + len(target) - 1
            for index in self.indices
            for target in items[index].targets
        )

    def is_worth_it(self, items: Sequence[Item]) -> bool:
        """Whether the items share enough, take fewer tokens than each by itself, and are not too long for a row."""
        length = self.length(items)
        return (
            self.shared >= LEAST
            and length <= max(LONGEST, 2 * self.shared)
            and length < sum(items[index].length for index in self.indices)
        )

    @classmethod
    def of_one(cls, items: Sequence[Item], index: int) -> Beginning:
        """An item by itself."""
        return cls(indices=(index,), shared=len(items[index].prompt))

    def with_item(self, items: Sequence[Item], index: int) -> Beginning:
        """The same with another item, and what all of them share: as much as its last item does with that one."""
        length = common(items[self.indices[-1]].prompt, items[index].prompt)
        return Beginning(indices=(*self.indices, index), shared=min(self.shared, length))

    def of_targets(self, items: Sequence[Item]) -> Iterator[int]:
        """The index of the item that each target belongs to."""
        return (index for index in self.indices for _ in items[index].targets)


def common_beginnings(items: Sequence[Item]) -> list[Beginning]:
    """All items, once each: together those that share LEAST tokens, where that is worth it, others alone.

    Such prompts are neighbors in the order of their tokens, and what a run of neighbors shares is the least that two
    of them in a row do.
    """
    groups: list[Beginning] = []
    for index in sorted(range(len(items)), key=lambda index: (items[index].prompt, index)):
        longer = groups[-1].with_item(items, index) if groups else None
        if longer and longer.is_worth_it(items):
            groups[-1] = longer
        else:
            groups.append(Beginning.of_one(items, index))
    return groups
