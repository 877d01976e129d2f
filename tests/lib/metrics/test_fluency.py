"""Fluency: reference values, hand-worked entropies, and what repetition does to them."""

import json

import pytest

from lib.metrics.fluency import cleaned, fluency, weighted_entropy, words
from tests.helpers.models import GOLDEN

REFERENCE = json.loads((GOLDEN / "text_metrics.json").read_text())["fluency"]


@pytest.mark.parametrize("index", range(len(REFERENCE["texts"])))
def test_words_and_entropy_are_those_of_the_original(index: int) -> None:
    entry = REFERENCE["texts"][index]
    assert words(entry["text"]) == entry["tokens"]
    assert weighted_entropy(entry["text"]) == pytest.approx(entry["entropy_arith"], abs=1e-9)
    assert weighted_entropy(entry["text"]) == pytest.approx(entry["H2"] / 3 + 2 * entry["H3"] / 3, abs=1e-9)


def test_a_records_fluency_is_a_hundred_times_the_mean_of_its_texts() -> None:
    texts = [entry["text"] for entry in REFERENCE["texts"]]
    assert fluency(texts) == pytest.approx(100 * REFERENCE["mean_entropy"], abs=1e-7)


def test_four_bigrams_and_three_trigrams_that_all_differ_have_two_bits_and_log_three() -> None:
    assert weighted_entropy("a b c d e") == pytest.approx(2 / 3 + 2 / 3 * 1.584962500721156)


@pytest.mark.parametrize("text", ["", "one", "one two", "go go go go go"])
def test_a_text_without_a_choice_of_ngrams_has_no_entropy(text: str) -> None:
    assert weighted_entropy(text) == 0


def test_repeating_a_sentence_lowers_the_entropy_at_equal_length() -> None:
    assert weighted_entropy("the cat sat on it " * 4) < weighted_entropy(" ".join(f"word{i}" for i in range(20)))


def test_no_generation_is_an_error() -> None:
    with pytest.raises(ValueError, match="wanted at least one generated text"):
        fluency([])


def test_a_generation_is_cleaned_of_its_end_its_empty_lines_and_its_ligatures() -> None:
    assert cleaned("A ﬁne\n\nday<|endoftext|>") == "A fine day"
    assert cleaned("A day</s>", end_of_text="</s>") == "A day"
