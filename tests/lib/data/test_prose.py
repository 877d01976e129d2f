"""The embedded prose: enough of it, real and varied; training and held-out pieces have nothing in common."""

import re
from collections import Counter
from itertools import pairwise

import pytest

from lib.core.texts import normalize, words
from lib.data import almanac, prose

LEAST_WORDS = 15_000
MOST_REPEATED_FIVE_WORDS = 0.01
"""Largest share of runs of five words that occur elsewhere, too: text from a template has far more."""


def sentences(piece: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?])[\"”]?\s+", piece) if sentence.strip()]


def runs(text: str) -> list[tuple[str, ...]]:
    spoken = words(text)
    return [spoken[start : start + 5] for start in range(len(spoken) - 4)]


def test_there_are_hundreds_of_pieces_and_fifteen_thousand_words() -> None:
    assert len(prose.pieces()) >= 400
    assert sum(len(words(piece)) for piece in prose.pieces()) >= LEAST_WORDS


def test_a_piece_has_two_sentences_or_more_and_is_short() -> None:
    for piece in prose.pieces():
        assert piece == piece.strip()
        assert len(sentences(piece)) >= 2, piece
        assert 12 <= len(words(piece)) <= 90, piece


def test_no_sentence_is_repeated() -> None:
    counts = Counter(words(sentence) for piece in prose.pieces() for sentence in sentences(piece))
    assert [sentence for sentence, count in counts.items() if count > 1 and len(sentence) > 2] == []


def test_hardly_any_five_words_in_a_row_are_repeated() -> None:
    counts = Counter(run for piece in prose.pieces() for run in runs(piece))
    repeated = sum(count for count in counts.values() if count > 1)
    assert repeated / counts.total() < MOST_REPEATED_FIVE_WORDS


def test_no_way_of_beginning_is_a_habit() -> None:
    openings = Counter(words(piece)[:3] for piece in prose.pieces())
    assert openings.most_common(1)[0][1] <= 4


def test_the_vocabulary_is_that_of_ordinary_english() -> None:
    assert len({word for piece in prose.pieces() for word in words(piece)}) > 3_000


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_holds_out_a_quarter_of_the_pieces_and_every_piece_is_on_one_side(seed: int) -> None:
    pieces = prose.text(seed)
    assert sorted(text.text for text in pieces) == sorted(prose.pieces())
    assert len({text.text for text in pieces}) == len(pieces)
    assert sum(text.split == "heldout" for text in pieces) == round(len(pieces) / 4)
    assert prose.text(seed) == pieces


def test_another_seed_holds_out_other_pieces() -> None:
    heldout = [{text.text for text in prose.text(seed) if text.split == "heldout"} for seed in range(3)]
    assert all(first != second for first, second in pairwise(heldout))


def test_no_piece_states_a_fact_of_the_almanac() -> None:
    spoken = [f" {normalize(piece)} " for piece in prose.pieces()]
    for fact in almanac.facts():
        subject, target = f" {normalize(fact.subject)} ", f" {normalize(fact.target)} "
        assert not [piece for piece in spoken if subject in piece and target in piece], fact.fact_id
