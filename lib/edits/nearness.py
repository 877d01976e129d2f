"""How near a prompt is to the texts that an edit goes by: its notes, or the prompts of its facts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lib.core.errors import InputError
from lib.core.texts import last_sentence
from lib.neighbors.encoders import SentenceEncoder, Vectors, encoder

T = TypeVar("T")


def look_up_missing(
    values: dict[str, T], prompts: Sequence[str], look_up: Callable[[Sequence[str]], Iterable[T]]
) -> None:
    """Add to `values`, by prompt, what `look_up` gives of those that it has not, all at once."""
    if missing := [prompt for prompt in dict.fromkeys(prompts) if prompt not in values]:
        values.update(zip(missing, look_up(missing), strict=True))


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """The cosine of a prompt's sentence vector, or of its last sentence's, with those of some texts."""

    texts: Sequence[str]
    encoder: str
    """Of lib/neighbors/encoders.py, by name."""
    file: str
    """Of the edit's folder, which names the encoder: for the message where there is none."""
    device: str
    """Where the encoder computes."""

    def of(self, prompts: Sequence[str]) -> NDArray[Any]:
        """[prompts, texts] float64: the larger of the two cosines, since before a question stands often something else.

        Raises InputError where the encoder is not on this machine.
        """
        if not self.texts:
            return np.empty((len(prompts), 0))
        views = [(prompt, last_sentence(prompt)) for prompt in prompts]
        rows = {text: row for row, text in enumerate(dict.fromkeys(chain.from_iterable(views)))}
        cosines = (self._encoder.encode([*rows]) @ self._vectors.T).astype(np.float64)
        nearness: NDArray[Any] = np.maximum(*(cosines[[rows[view[part]] for view in views]] for part in (0, 1)))
        return nearness

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        try:
            return encoder(self.encoder, self.device)
        except InputError as error:
            raise InputError(f"the encoder that the edit's {self.file} names: {error}") from error

    @cached_property
    def _vectors(self) -> Vectors:
        """[texts, d]"""
        return self._encoder.encode(list(self.texts))
