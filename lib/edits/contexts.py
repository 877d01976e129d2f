"""Text that an edit puts before a prompt: that of the prompt's request, or notes that are retrieved for the prompt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lib.edits.edit import Edit
from lib.edits.nearness import Nearness, look_up_missing
from lib.edits.notes import Notebook, stated


@dataclass(frozen=True, kw_only=True)
class Contexts:
    """What goes before a prompt."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """By request_id: before every prompt of that request."""
    notes: Notebook | None = None
    """Retrieved for each prompt, whatever its request."""
    device: str = "cpu"
    """Where the encoder of the notes computes."""

    @classmethod
    def of(cls, edit: Edit, device: str) -> "Contexts":
        """Those of an edit."""
        return cls(texts=edit.contexts, notes=edit.notes, device=device)

    @property
    def are_none(self) -> bool:
        """Whether nothing goes before any prompt."""
        return not self.texts and self.notes is None

    def __call__(self, request_id: str, prompt: str) -> str:
        """The text before this prompt of this request; empty where there is none."""
        text = self.texts.get(request_id, "")
        return text if self.notes is None else text + self._retrieved(prompt)

    def retrieve(self, prompts: Sequence[str]) -> None:
        """Find the notes of all these prompts at once, in a fraction of the time that one after another takes."""
        if self.notes is not None:
            look_up_missing(self._cache, prompts, self._stated)

    def _retrieved(self, prompt: str) -> str:
        self.retrieve([prompt])
        return self._cache[prompt]

    def _stated(self, prompts: Sequence[str]) -> Iterator[str]:
        """Of each the statement of the notes near enough to it, the nearest last, right before it."""
        notes = self.notes
        assert notes is not None
        facts = list(notes.texts.values())
        for nearness in self._nearness.of(prompts):
            nearest = np.argsort(-nearness, kind="stable")[: notes.count]
            near_enough = [facts[note] for note in nearest[::-1] if nearness[note] >= notes.threshold]
            yield stated(near_enough) if near_enough else ""

    @cached_property
    def _cache(self) -> dict[str, str]:
        return {}

    @cached_property
    def _nearness(self) -> Nearness:
        assert self.notes is not None
        texts = list(self.notes.texts.values())
        return Nearness(texts=texts, encoder=self.notes.encoder, file="notes.json", device=self.device)
