"""The sum of two edits, in a form that PEFT holds where it can."""

from dataclasses import replace

import torch
from torch import nn

from lib.core.errors import InputError
from lib.edits.edit import Edit, compose
from lib.edits.updates import LowRank


def summed(first: Edit, second: Edit) -> Edit:
    """One edit that does what both do.

    Raises InputError where one of them is text before the prompts, or one has a scope and the other has none.
    """
    if (first.scope is None) != (second.scope is None):
        raise InputError(
            "wanted two edits for every prompt, or two for prompts near their facts alone; found one of each. Make one "
            "edit of both files of facts instead, with scope.encoder as it should be (-S)"
        )
    for edit in (first, second):
        if edit.contexts or edit.notes is not None:
            raise InputError(
                f"wanted two edits beside or in the model; found one by {edit.info.get('editor', 'this editor')}, text "
                "before prompts, which goes by the ids of its own facts. Make one edit of both files of facts instead"
            )
    return of_one_rank(compose(first, second))


def of_one_rank(edit: Edit) -> Edit:
    """The same edit, its low-rank updates filled up with zeros to one rank, as a PEFT adapter has it."""
    ranks = [update.left.shape[1] for update in edit.updates.values() if isinstance(update, LowRank)]
    widest = max(ranks, default=0)
    updates = {
        path: _widened(update, widest) if isinstance(update, LowRank) else update
        for path, update in edit.updates.items()
    }
    return replace(edit, updates=updates)


def _widened(update: LowRank, rank: int) -> LowRank:
    more = rank - update.left.shape[1]
    if not more:
        return update
    left = nn.functional.pad(update.left, (0, more))
    return LowRank(left=left, right=torch.cat([update.right, update.right.new_zeros(more, update.right.shape[1])]))
