"""perplexity_ratio: the edited model's perplexity over the unedited one's on the same texts."""

import math

import polars as pl
import pytest

from lib.metrics.perplexity import perplexity_ratio


def rows(when: str, nlls: list[float], tokens: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"when": when, "index": range(len(nlls)), "nll": nlls, "tokens": tokens})


def test_it_is_the_ratio_of_two_perplexities() -> None:
    ratio = perplexity_ratio(pl.concat([rows("before", [10.0, 40.0], [10, 20]), rows("after", [13.0, 41.0], [10, 20])]))
    assert ratio["perplexity_ratio"] == pytest.approx(math.exp(54 / 30) / math.exp(50 / 30), abs=1e-4)
    assert ratio["perplexity"] == pytest.approx(math.exp(54 / 30), abs=1e-3)


def test_the_same_change_of_every_token_has_no_interval() -> None:
    before, after = rows("before", [10.0, 20.0], [10, 20]), rows("after", [11.0, 22.0], [10, 20])
    ratio = perplexity_ratio(pl.concat([before, after]))
    assert ratio["perplexity_ratio"] == pytest.approx(math.exp(0.1), abs=1e-4)
    assert ratio["perplexity_ratio_ci95"] == 0


def test_without_an_edited_model_there_is_none() -> None:
    assert perplexity_ratio(rows("before", [1.0], [1])) == {}


def test_other_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="not the same"):
        perplexity_ratio(pl.concat([rows("before", [1.0, 2.0], [1, 2]), rows("after", [1.0], [1])]))
