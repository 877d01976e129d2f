"""Sentence encoders, by which similar facts are found: hashed words (nothing to fit or fetch), or a trained model.

A model is a preset of configs/encoders, a folder, or a name on the hub. It is loaded from this machine alone: stage
`encoder` fetches it (lib/neighbors/fetching.py).
"""

import functools
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from huggingface_hub import snapshot_download

from lib.core import cache
from lib.core.errors import InputError
from lib.core.params import Encoder, preset, presets
from lib.core.texts import words

HASHING = "hashing"
HASHING_SIZE = 512
"""Length d of hashing's vectors: 2 kB a fact."""
_BATCH = 10_000
"""Texts whose sparse counts are held at a time: bounds memory, not the result."""

_WORD = re.compile("[a-z]{3,}")
_WORD_MARKS = "\u2581\u0120"
"""What a token that begins a word starts with, in vocabularies that mark the beginning; others mark what goes on."""

Vectors = npt.NDArray[np.float32]


class SentenceEncoder(Protocol):
    """Turns texts into vectors whose inner product says how alike they are."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, d] of unit norm."""

    def words(self) -> list[str]:
        """The whole words that it has vectors of its own for, in its own order; none where it hashes."""


def encoder(name: str, device: str) -> SentenceEncoder:
    """The encoder that params.yaml names: `hashing`, or a sentence-transformers model by preset, folder or hub name.

    `device` is where a model computes. Raises InputError where there is no such model, FileNotFoundError where one that
    can be fetched is not on this machine.
    """
    return HashingEncoder() if name == HASHING else ModelEncoder(name, device)


def preset_folder(name: str) -> Path:
    """Where the model of a preset of configs/encoders is kept once it is fetched."""
    return cache.cache_folder() / "encoders" / preset("encoders", name, Encoder).wheels.sha256


def model_folder(name: str) -> Path:
    """The folder of the sentence-transformers model of this name on this machine.

    Raises FileNotFoundError where a preset's model was not fetched, OSError where nothing else has the name.
    """
    if name in presets("encoders"):
        folder = preset_folder(name)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"the encoder {name} is not at {folder}; run `dvc repro --force --single-item encoder` on this machine "
                "to fetch it"
            )
        return folder
    return Path(name) if Path(name).is_dir() else Path(snapshot_download(name, local_files_only=True))


@functools.lru_cache(maxsize=1)
def _loaded(folder: str, device: str) -> Any:
    """The SentenceTransformer in a folder; it stays loaded, since every session of a run asks for it."""
    from sentence_transformers import SentenceTransformer

    from lib.runtime.quiet import quiet_transformers

    with quiet_transformers():
        return SentenceTransformer(folder, device=device, local_files_only=True)


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

    def words(self) -> list[str]:
        """None: any word is hashed."""
        return []


class ModelEncoder:
    """A sentence-transformers model (Sentence-BERT, arXiv 1908.10084)."""

    def __init__(self, name: str, device: str) -> None:
        try:
            self._model = _loaded(str(model_folder(name)), device)
        except (OSError, ValueError) as error:
            if name in presets("encoders"):
                raise
            raise InputError(not_loaded(name, error)) from error

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, d] of unit norm."""
        return np.asarray(
            self._model.encode(list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False),
            dtype=np.float32,
        )

    def words(self) -> list[str]:
        """The whole words of its vocabulary, of three letters or more and lowercase, in the vocabulary's own order.

        That is the order of their frequency in most vocabularies.
        """
        tokens = sorted(self._model.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        marks = {token[0] for token, _ in tokens} & set(_WORD_MARKS)
        begun = [token[1:] if token[0] in marks else token for token, _ in tokens if not marks or token[0] in marks]
        return list(dict.fromkeys(word for word in begun if _WORD.fullmatch(word)))


def not_loaded(name: str, error: Exception) -> str:
    """The message for a model that is neither on this machine nor on the hub."""
    names = ", ".join([HASHING, *presets("encoders")])
    return (
        f"neighbors.encoder: wanted one of {names}, or a sentence-transformers model by folder or hub name; {name!r} "
        f"could not be loaded ({error}). Without a network, give the folder of a downloaded model"
    )


def _features(text: str) -> list[str]:
    """Words and pairs of neighboring words, the ends of the text marked."""
    marked = ("^", *words(text), "$")
    return [*marked, *(f"{first} {second}" for first, second in pairwise(marked))]
