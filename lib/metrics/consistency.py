"""Consistency: whether what an edited model writes of a subject resembles texts about the new object.

    consistency = 100 * cosine(tf-idf of a record's generations, joined; tf-idf of its reference texts, joined)

As in the ROME release (arXiv 2202.05262): scikit-learn's vectorizer with its default settings, its inverse document
frequencies fitted on the dataset's texts, or read from the published files, which were fitted on Wikipedia.
"""

import tokenize
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from lib.core.errors import InputError, reading
from lib.core.files import check_regular, read_json, write_json


@dataclass(frozen=True, kw_only=True)
class WordWeights:
    """How much each known word weighs; other words do not count."""

    words: tuple[str, ...]
    """In the order of their column; lower case, two letters or digits at least."""
    idf: tuple[float, ...]
    """Inverse document frequency of each: ln((1 + texts) / (1 + texts with the word)) + 1 where it was fitted here."""

    def __post_init__(self) -> None:
        if len(self.words) != len(self.idf) or not self.words:
            raise InputError(
                f"idf: wanted one value for each of at least one word, found {len(self.idf)} for {len(self.words)}"
            )
        if not np.isfinite(self.idf).all():
            raise InputError("idf: wanted finite values only; found others")


def fit(texts: Iterable[str]) -> WordWeights:
    """The inverse document frequencies of the words of `texts`. Raises InputError where they have none."""
    vectorizer = TfidfVectorizer().fit(texts)
    return WordWeights(words=tuple(vectorizer.get_feature_names_out().tolist()), idf=tuple(vectorizer.idf_.tolist()))


def write(path: Path, frequencies: WordWeights) -> None:
    """Write them as JSON: two lists in the same order."""
    write_json(path, {"words": list(frequencies.words), "idf": list(frequencies.idf)})


def read(path: Path) -> WordWeights:
    """What `write` wrote. Raises InputError where the file holds something else."""
    values = read_json(path)
    is_complete = isinstance(values, Mapping) and values.keys() == {"words", "idf"}
    if (
        not is_complete
        or not _all_of(values["words"], str)
        or not _all_of(values["idf"], float, int)
        or len({*values["words"]}) < len(values["words"])
    ):
        raise InputError(
            f"{path}: wanted an object of `words`, different texts, and `idf`, numbers; run the stage that writes it "
            "again (dvc repro)"
        )
    return _weights(tuple(values["words"]), tuple(map(float, values["idf"])), path)


def _all_of(values: Any, *kinds: type) -> bool:
    return isinstance(values, list) and all(type(value) in kinds for value in values)


def published(idf: Path, vocabulary: Path) -> WordWeights:
    """The published pair: idf.npy, one number a word, and tfidf_vocab.json, which gives each word's index in it.

    Raises InputError where the two do not belong together.
    """
    check_regular(idf)
    damage = (ValueError, EOFError, OSError, zipfile.BadZipFile, tokenize.TokenError, SyntaxError, TypeError)
    with (
        reading(idf, "an array of NumPy (idf.npy of the ROME release)", "Download it again.", *damage),
        idf.open("rb") as stream,
    ):
        array = np.load(stream, allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise InputError(f"{idf}: wanted one array of numbers; found {getattr(array, 'dtype', 'several arrays')}")
    values, indices = array.ravel().astype(float), read_json(vocabulary)
    is_complete = isinstance(indices, dict) and all(type(index) is int for index in indices.values())
    if not is_complete or sorted(indices.values()) != list(range(len(values))):
        raise InputError(
            f"{vocabulary}: wanted words, each with an index from 0 to {len(values) - 1} of {idf} of its own; found "
            "others. Both files must come from the same download"
        )
    return _weights(tuple(sorted(indices, key=indices.__getitem__)), tuple(values.tolist()), idf)


def _weights(words: tuple[str, ...], idf: tuple[float, ...], path: Path) -> WordWeights:
    """The weights that a file holds. Raises InputError naming it where they are none."""
    try:
        return WordWeights(words=words, idf=idf)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def cosines(frequencies: WordWeights, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The cosine of the tf-idf vectors of the two texts of each pair, from 0 to 1.

    It is 0 where one text has no known word (the release divides by zero there).
    """
    if not pairs:
        return []
    vectorizer = TfidfVectorizer(vocabulary={word: index for index, word in enumerate(frequencies.words)})
    vectorizer.idf_ = np.array(frequencies.idf)
    left, right = (vectorizer.transform([pair[side] for pair in pairs]) for side in (0, 1))  # rows of length 1, or 0
    return [float(cosine) for cosine in np.asarray(left.multiply(right).sum(axis=1)).ravel()]


def consistency(
    frequencies: WordWeights, generations: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> list[float | None]:
    """100 times the cosine of each record's generations, joined, with its reference texts, joined.

    None for a record that has no generation or no reference text.
    """
    records = list(zip(generations, references, strict=True))
    measured = [index for index, record in enumerate(records) if all(record)]
    pairs = [(" ".join(records[index][0]), " ".join(records[index][1])) for index in measured]
    values: list[float | None] = [None] * len(records)
    for index, cosine in zip(measured, cosines(frequencies, pairs), strict=True):
        values[index] = 100 * cosine
    return values
