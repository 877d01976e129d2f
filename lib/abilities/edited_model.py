"""A model with an edit for the harness, asked as who has the edit asks it: in its scope, its notes before prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from lm_eval.api.instance import Instance

from lib.abilities.harness import MemoryModel
from lib.edits.contexts import Contexts
from lib.edits.in_force import EditInForce

T = TypeVar("T")
_NO_REQUEST = ""
"""A task's prompt belongs to no request: a context that stands before one request's prompts is before none of them."""


@dataclass
class EditedModel(MemoryModel):
    """The edit is in force where the prompt, with the examples in it, is in scope; notes near it stand before it."""

    in_force: EditInForce = field(kw_only=True)

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """As the model in memory, prompt by prompt edited or not."""
        return self._answered(requests, self._with_notes(requests), super().loglikelihood)

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """As the model in memory, text by text edited or not; without notes, which are no part of a text."""
        return self._answered(requests, requests, super().loglikelihood_rolling)

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """As the model in memory, prompt by prompt edited or not."""
        return self._answered(requests, self._with_notes(requests), super().generate_until)

    def noted(self, prompt: str) -> str:
        """The prompt as the model reads it: after the notes that are near it."""
        return self._contexts(_NO_REQUEST, prompt) + prompt

    def was_truncated(self, prompt: str) -> bool:
        """Whether the prompt, with its notes, was too long for the model."""
        return super().was_truncated(self.noted(prompt))

    @cached_property
    def _contexts(self) -> Contexts:
        return Contexts.of(self.in_force.edit, self.in_force.classifier.device)

    def _with_notes(self, requests: Sequence[Instance]) -> list[Instance]:
        self._contexts.retrieve([_prompt(request) for request in requests])
        return [replace(request, arguments=(self.noted(_prompt(request)), *request.args[1:])) for request in requests]

    def _answered(
        self, requests: Sequence[Instance], as_read: Sequence[Instance],
        answer: Callable[[Sequence[Instance]], Sequence[T]],
    ) -> list[T]:  # fmt: skip
        """The answers in the order of the requests; `as_read` are the same as the model reads them."""
        prompts = [_prompt(request) for request in requests]
        return self.in_force.answers(prompts, lambda indices: answer([as_read[index] for index in indices]))


def _prompt(request: Instance) -> str:
    return str(request.args[0])
