"""An Edit: what an editor changes, apart from the model; and the sum of two.

An Edit maps a module's path to an update of its weight, always in nn.Linear orientation [d_out, d_in] whatever the
module's own is (Conv1D stores [d_in, d_out]; an embedding, read as a map of one-hot ids, has d_in = vocabulary). A
parameter that is no matrix (a bias, a norm) is updated under the parameter's own path. An edit that changes no weight
is a context, text put before every prompt of a request; notes, texts that are retrieved for a prompt (notes.py); or a
memory beside a module (memory.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lib.edits.memory import Memory, remembered
from lib.edits.notes import Notebook
from lib.edits.scope import Scope
from lib.edits.updates import Dense, LowRank, Update, Vector


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Updates by module path (a vector's by parameter path), contexts by edit, and what made them."""

    updates: Mapping[str, Update]
    contexts: Mapping[str, str] = field(default_factory=dict)
    """By request_id: text that goes before every prompt of that request (in-context editing)."""
    memories: Mapping[str, Memory] = field(default_factory=dict)
    """By module path: what is said in place of the module's output near the memory's keys."""
    notes: Notebook | None = None
    """Statements of edits, retrieved for every prompt."""
    scope: Scope | None = None
    """What the edit is about, where it is in force for prompts near that alone; None: for every prompt."""
    state: Mapping[str, Tensor] = field(default_factory=dict)
    """What the same editor needs when it edits again on top of this edit (sequential editing); not part of the edit."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Editor, parameters and base model, as plain JSON values."""

    @property
    def changes_nothing(self) -> bool:
        """Whether the model with it is the unedited one."""
        return not (self.updates or self.contexts or self.memories or self.notes)

    def scoped(self, make: Callable[[], Scope | None]) -> "Edit":
        """The same with its own scope, else the one that `make` gives; one that changes no weight is as it was."""
        return replace(self, scope=self.scope or (make() if self.updates else None))


def compose(first: Edit, second: Edit) -> Edit:
    """One edit that does what `first` and then `second` do, made on a model that had `first` applied.

    Updates add up: low-rank ones side by side, others as matrices. Info and state are the second's; where both have a
    context for the same request, the second's holds; entries of a memory are added to those before them. Raises
    ValueError where one of them has a scope and the other has none.
    """
    if (first.scope is None) != (second.scope is None) and not (first.changes_nothing or second.changes_nothing):
        raise ValueError("one of two edits has a scope and the other has none: their sum would be in force nowhere")
    scope = first.scope.joined(second.scope) if first.scope and second.scope else second.scope or first.scope
    updates = dict(first.updates)
    for path, update in second.updates.items():
        updates[path] = _sum(updates[path], update) if path in updates else update
    memories = dict(first.memories)
    for path, memory in second.memories.items():
        memories[path] = remembered(memories[path], memory) if path in memories else memory
    notes = first.notes.joined(second.notes) if first.notes and second.notes else second.notes or first.notes
    contexts = {**first.contexts, **second.contexts}
    return replace(second, updates=updates, contexts=contexts, memories=memories, notes=notes, scope=scope)


def _sum(first: Update, second: Update) -> Update:
    if isinstance(first, Vector) or isinstance(second, Vector):
        if type(first) is not type(second):
            raise ValueError("an edit updates a vector and a matrix under one path")
        return Vector(shift=first.shift + second.shift)  # type: ignore[union-attr]
    if isinstance(first, LowRank) and isinstance(second, LowRank):
        left = torch.cat([first.left, second.left.to(first.left)], dim=1)
        if left.shape[1] < min(first.shape):
            return LowRank(left=left, right=torch.cat([first.right, second.right.to(first.right)]))
    return Dense(delta=first.dense() + second.dense())
