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
        return self._answered(requests, super().loglikelihood, self.noted)

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """As the model in memory, text by text edited or not; without notes, which are no part of a text."""
        return self._answered(requests, super().loglikelihood_rolling, lambda text: text)

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """As the model in memory, prompt by prompt edited or not."""
        return self._answered(requests, super().generate_until, self.noted)

    def noted(self, prompt: str) -> str:
        """The prompt as the model reads it: after the notes that are near it."""
        return self._contexts(_NO_REQUEST, prompt) + prompt

    def was_truncated(self, prompt: str) -> bool:
        """Whether the prompt, with its notes, was too long for the model."""
        return super().was_truncated(self.noted(prompt))

    @cached_property
    def _contexts(self) -> Contexts:
        return Contexts.of(self.in_force.edit, self.in_force.classifier.device)

    def _answered(
        self, requests: Sequence[Instance], answer: Callable[[Sequence[Instance]], Sequence[T]],
        read: Callable[[str], str],
    ) -> list[T]:  # fmt: skip
        """The answers in the order of the requests; `read` makes of a prompt what the model reads."""
        prompts = [str(request.args[0]) for request in requests]
        self._contexts.retrieve(prompts)
        as_read = [
            replace(request, arguments=(read(prompt), *request.args[1:]))
            for request, prompt in zip(requests, prompts, strict=True)
        ]
        return self.in_force.answers(prompts, lambda indices: answer([as_read[index] for index in indices]))
