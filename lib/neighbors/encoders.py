"""Sentence encoders, by which similar facts are found: hashed words (offline, nothing to fit), or a trained model."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lib.core.texts import words

HASHING = "hashing"
HASHING_SIZE = 512
"""Length d of hashing's vectors: 2 kB a fact."""
_BATCH = 10_000
"""Texts whose sparse counts are held at a time: bounds memory, not the result."""

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into vectors whose inner product says how alike they are."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, d] of unit norm."""


def encoder(name: str, device: str) -> Encoder:
    """The encoder that params.yaml names: `hashing`, or a sentence-transformers model by name or folder.

    `device` is where a model computes. Raises ValueError where there is no such model, or none can be fetched.
    """
    return HashingEncoder() if name == HASHING else ModelEncoder(name, device)


class HashingEncoder:
    """Counts of words and of word pairs, the two ends of the text counting as words, hashed to HASHING_SIZE numbers.

    The ends tell what a prompt begins with, and what leads up to its object, from the same words elsewhere; and they
    give a text without words a vector, too.
    """

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._vectorizer = HashingVectorizer(n_features=HASHING_SIZE, analyzer=_features, norm="l2", dtype=np.float32)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, HASHING_SIZE] of unit norm."""
        vectors = np.empty((len(texts), HASHING_SIZE), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            vectors[start : start + len(batch)] = self._vectorizer.transform(batch).toarray()
        return vectors


class ModelEncoder:
    """A sentence-transformers model (Sentence-BERT, arXiv 1908.10084)."""

    def __init__(self, name: str, device: str) -> None:
        from sentence_transformers import SentenceTransformer

        try:
            self._model = SentenceTransformer(name, device=device)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"neighbors.encoder: wanted {HASHING!r}, or a sentence-transformers model by name or folder; {name!r} "
                f"could not be loaded ({error}). Without a network, give the folder of a downloaded model"
            ) from error

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, d] of unit norm."""
        return np.asarray(
            self._model.encode(list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False),
            dtype=np.float32,
        )


def _features(text: str) -> list[str]:
    """Words and pairs of neighboring words, the ends of the text marked."""
    marked = ("^", *words(text), "$")
    return [*marked, *(f"{first} {second}" for first, second in pairwise(marked))]
