"""The tiles on top of the page: each number of the verdict with its limit, and on which side of it it lies."""

from typing import Any

import pytest

from lib.report.tiles import tiles
from tests.helpers.pages import numbers


@pytest.mark.parametrize(
    ("changed", "states"),
    [
        ({}, ["good", "open", "good", "good", "good"]),
        ({"exact_match": 89.0, "unchanged": 79.0}, ["bad", "open", "bad", "good", "good"]),
        ({"perplexity_ratio": 1.2, "repetition": 15.1}, ["good", "open", "good", "bad", "bad"]),
        ({"exact_match": None, "unchanged": None, "repetition": None}, ["open", "open", "open", "good", "open"]),
    ],
)
def test_a_number_is_good_within_its_limit_bad_beyond_it_and_open_where_it_is_not_known(
    changed: dict[str, Any], states: list[str]
) -> None:
    assert [tile.state for tile in tiles(numbers(**changed))] == states


def test_a_tile_says_the_number_and_its_limit() -> None:
    written, _, unchanged, perplexity, repetition = tiles(numbers(exact_match=75.0, unchanged=None))
    assert (written.value, written.note) == ("3 of 4", "limit: 90 %")
    assert unchanged.value == "not measured"
    assert (perplexity.value, perplexity.note) == ("1.020 times", "limit: 1.10 times")
    assert repetition.note == "limit: 10 points more than before (5.0 %)"
