"""Consistency: reference values, the files it is kept in, and what is not measured."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lib.metrics import consistency
from lib.metrics.consistency import WordWeights
from tests.helpers.models import GOLDEN

REFERENCE = json.loads((GOLDEN / "text_metrics.json").read_text())["tfidf"]
PAIRS = [(pair["a"], pair["b"]) for pair in REFERENCE["pairs"]]
COSINES = [pair["cosine"] for pair in REFERENCE["pairs"]]


def fitted() -> WordWeights:
    return consistency.fit(REFERENCE["documents"])


def published(folder: Path, words: dict[str, int] | None = None) -> WordWeights:
    """The reference's idf and vocabulary, read from files as they are published."""
    np.save(folder / "idf.npy", np.array(REFERENCE["idf"]))
    columns = {word: column for column, word in enumerate(REFERENCE["words"])} if words is None else words
    (folder / "tfidf_vocab.json").write_text(json.dumps(dict(sorted(columns.items(), reverse=True))))
    return consistency.published(folder / "idf.npy", folder / "tfidf_vocab.json")


def test_words_and_frequencies_fitted_on_the_same_texts_are_the_originals() -> None:
    frequencies = fitted()
    assert list(frequencies.words) == REFERENCE["words"]
    assert frequencies.idf == pytest.approx(REFERENCE["idf"], abs=1e-9)


def test_cosines_are_the_originals() -> None:
    assert consistency.cosines(fitted(), PAIRS) == pytest.approx(COSINES, abs=1e-9)


def test_cosines_by_the_published_files_are_the_originals(tmp_path: Path) -> None:
    assert consistency.cosines(published(tmp_path), PAIRS) == pytest.approx(COSINES, abs=1e-9)


def test_the_published_vocabulary_need_not_be_in_the_order_of_its_places(tmp_path: Path) -> None:
    np.save(tmp_path / "idf.npy", np.array([[3.0, 1.0, 2.0]]))
    (tmp_path / "vocab.json").write_text('{"bees": 1, "anthem": 2, "zebra": 0}')
    frequencies = consistency.published(tmp_path / "idf.npy", tmp_path / "vocab.json")
    assert frequencies == WordWeights(words=("zebra", "bees", "anthem"), idf=(3.0, 1.0, 2.0))
    assert consistency.cosines(frequencies, [("zebra bees", "bees anthem")]) == pytest.approx([1 / math.sqrt(10 * 5)])


def test_frequencies_come_back_from_their_file_to_the_bit(tmp_path: Path) -> None:
    consistency.write(tmp_path / "tfidf.json", fitted())
    assert consistency.read(tmp_path / "tfidf.json") == fitted()


def test_a_file_that_holds_something_else_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "tfidf.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"tfidf\.json: wanted an object of `words`, different texts, and `idf`, numbers"
    ):
        consistency.read(tmp_path / "tfidf.json")


def test_a_vocabulary_that_does_not_belong_to_the_idf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"wanted words, each with an index from 0 to 342 .* found others"):
        published(tmp_path, {"one": 0, "two": 1})


def test_a_pickled_idf_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "idf.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "vocab.json").write_text('{"one": 0}')
    with pytest.raises(ValueError, match="allow_pickle=False"):
        consistency.published(tmp_path / "idf.npy", tmp_path / "vocab.json")


@pytest.mark.parametrize(("words", "idf"), [(("one",), (1.0, 2.0)), ((), ()), (("one",), (float("nan"),))])
def test_frequencies_that_do_not_fit_their_words_are_refused(words: tuple[str, ...], idf: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="idf: wanted"):
        WordWeights(words=words, idf=idf)


def test_a_text_without_a_known_word_is_like_no_other() -> None:
    assert consistency.cosines(fitted(), [("zzz qqq", "zzz qqq"), ("", "the road")]) == [0, 0]


def test_a_record_is_its_texts_joined_in_percent_and_none_without_one_of_them() -> None:
    (a, b), expected = PAIRS[1], COSINES[1]
    cut = a.split(" ", 3)
    generations = [(" ".join(cut[:3]), cut[3]), (a,), ()]
    cosines = consistency.consistency(fitted(), generations, [(b,), (), (b,)])
    assert cosines[0] == pytest.approx(100 * expected, abs=1e-7)
    assert cosines[1:] == [None, None]
