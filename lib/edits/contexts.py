"""Text that an edit puts before a prompt: that of the prompt's request, or notes that are retrieved for the prompt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np

from lib.core.errors import InputError
from lib.core.texts import last_sentence
from lib.edits.edit import Edit
from lib.edits.notes import Notebook, stated
from lib.neighbors.encoders import SentenceEncoder, Vectors, encoder


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

    def __call__(self, request_id: str, prompt: str) -> str:
        """The text before this prompt of this request; empty where there is none."""
        text = self.texts.get(request_id, "")
        return text if self.notes is None else text + self._retrieved(prompt)

    def retrieve(self, prompts: Sequence[str]) -> None:
        """Find the notes of all these prompts at once, in a fraction of the time that one after another takes."""
        if missing := [prompt for prompt in dict.fromkeys(prompts) if self.notes and prompt not in self._cache]:
            for prompt, facts in zip(missing, self._nearest(missing), strict=True):
                self._cache[prompt] = stated(facts) if facts else ""

    def _retrieved(self, prompt: str) -> str:
        self.retrieve([prompt])
        return self._cache[prompt]

    def _nearest(self, prompts: Sequence[str]) -> Iterator[list[str]]:
        """Of each the notes similar enough to it or to its last sentence, the most similar last, right before it.

        The last sentence, since what stands before a question is often about something else.
        """
        notes = self.notes
        if notes is None or not notes.texts:
            yield from ([] for _ in prompts)
            return
        facts = list(notes.texts.values())
        views = [(prompt, last_sentence(prompt)) for prompt in prompts]
        rows = {text: row for row, text in enumerate(dict.fromkeys(chain.from_iterable(views)))}
        similarities = (self._encoder.encode([*rows]) @ self._vectors.T).astype(np.float64)  # [texts, notes]
        for prompt, sentence in views:
            nearness = np.maximum(similarities[rows[prompt]], similarities[rows[sentence]])
            nearest = np.argsort(-nearness, kind="stable")[: notes.count]
            yield [facts[note] for note in nearest[::-1] if nearness[note] >= notes.threshold]

    @cached_property
    def _cache(self) -> dict[str, str]:
        return {}

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        assert self.notes is not None
        try:
            return encoder(self.notes.encoder, self.device)
        except InputError as error:
            raise InputError(f"the encoder that the edit's notes.json names: {error}") from error

    @cached_property
    def _vectors(self) -> Vectors:
        """[notes, d]"""
        assert self.notes is not None
        return self._encoder.encode(list(self.notes.texts.values()))
