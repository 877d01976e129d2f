"""Whether an edit is in force for a prompt, by its scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from lib.edits.edit import Edit
from lib.edits.nearness import Nearness, look_up_missing
from lib.edits.scope import Scope


@dataclass(frozen=True, kw_only=True)
class ScopeClassifier:
    """Tells prompts that an edit is about from others."""

    scope: Scope | None
    """None: the edit is in force for every prompt."""
    device: str = "cpu"
    """Where the encoder computes."""

    @classmethod
    def of(cls, edit: Edit, device: str) -> "ScopeClassifier":
        """That of an edit."""
        return cls(scope=edit.scope, device=device)

    def holds(self, prompt: str) -> bool:
        """Whether the edit is in force for this prompt, as it is asked: without a template, without earlier turns."""
        return self.hold([prompt])[0]

    def hold(self, prompts: Sequence[str]) -> list[bool]:
        """The same of each of these prompts, looked up together."""
        self.classify(prompts)
        return [self.scope is None or self._is_inside[prompt] for prompt in prompts]

    def classify(self, prompts: Sequence[str]) -> None:
        """Classify all these prompts at once, in a fraction of the time that one after another takes."""
        if self.scope is not None:
            look_up_missing(self._is_inside, prompts, self._near_enough)

    def _near_enough(self, prompts: Sequence[str]) -> list[bool]:
        assert self.scope is not None
        nearest = self._nearness.of(prompts).max(axis=1, initial=-1.0)
        return [bool(value >= self.scope.threshold) for value in nearest]

    @cached_property
    def _is_inside(self) -> dict[str, bool]:
        return {}

    @cached_property
    def _nearness(self) -> Nearness:
        assert self.scope is not None
        prompts = [*chain.from_iterable(self.scope.prompts.values())]
        return Nearness(texts=prompts, encoder=self.scope.encoder, file="scope.json", device=self.device)
