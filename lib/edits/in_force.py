"""A model with an edit, as whoever asks it has it: edited for the prompts in the edit's scope, unedited for others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.scope_classifier import ScopeClassifier

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class EditInForce:
    """An edit of a model, and what tells for which prompts it is in force."""

    model: nn.Module
    edit: Edit
    classifier: ScopeClassifier

    @classmethod
    def of(cls, model: nn.Module, edit: Edit, device: str) -> "EditInForce":
        """By the edit's own scope; without one it is in force for every prompt."""
        return cls(model=model, edit=edit, classifier=ScopeClassifier.of(edit, device))

    def answers(self, prompts: Sequence[str], answer: Callable[[Sequence[int]], Sequence[T]]) -> list[T]:
        """What the model answers to each prompt.

        Args:
            answer: the answers of the model, as it is when it is called, to the prompts of these indices.
        """
        sides: dict[bool, list[int]] = {True: [], False: []}
        for index, is_inside in enumerate(self.classifier.hold(prompts)):
            sides[is_inside].append(index)
        by_index: dict[int, T] = {}
        if inside := sides[True]:
            with applied(self.model, self.edit):
                by_index.update(zip(inside, answer(inside), strict=True))
        if outside := sides[False]:
            by_index.update(zip(outside, answer(outside), strict=True))
        return [by_index[index] for index in range(len(prompts))]

    def in_scope(self, prompts: Sequence[str]) -> int | None:
        """How many of the prompts it is in force for; None where it is for every prompt."""
        return None if self.classifier.scope is None else sum(self.classifier.hold(prompts))
