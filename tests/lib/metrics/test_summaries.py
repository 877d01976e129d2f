"""Summaries: the properties that the score and its interval must have, and what a metrics file says."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.metrics import scores, summaries
from tests.lib.metrics.test_scores import records_of, row


def three_kinds(values: np.ndarray) -> pl.DataFrame:
    """A frame as per_record's, with one success in percent for every record (rows) and kind (columns)."""
    kinds = [
        pl.DataFrame({"request_id": [str(index) for index in range(len(column))], "success": column}).with_columns(
            kind=pl.lit(kind), session=pl.lit(0)
        )
        for kind, column in zip(scores.KINDS, values.T, strict=True)
    ]
    return pl.concat(kinds)


def test_a_kind_that_no_record_has_is_none_and_so_is_the_score() -> None:
    records = records_of(*(row("a", kind, role, 1.0) for kind in ("efficacy", "locality") for role in ("new", "true")))
    details = summaries.details(records, "success")
    assert details["after"]["generalization"]["success"] is None
    assert details["after"]["score"]["success"] is None


def test_score_is_the_harmonic_mean_of_the_three_means() -> None:
    score = summaries.score(three_kinds(np.array([[100.0, 50.0, 25.0], [100.0, 50.0, 25.0]])), "success")
    assert score is not None
    assert score.mean == pytest.approx(3 / (1 / 100 + 1 / 50 + 1 / 25))
    assert (score.ci95, score.n) == (0, 2)


def test_score_is_zero_where_one_mean_is() -> None:
    score = summaries.score(three_kinds(np.array([[0.0, 50.0, 25.0], [0.0, 60.0, 35.0]])), "success")
    assert score == summaries.Summary(mean=0, ci95=0, n=2)


@given(st.lists(st.tuples(*[st.floats(0.5, 100)] * 3), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_score_lies_between_the_smallest_and_the_arithmetic_mean(values: list[tuple[float, float, float]]) -> None:
    means = np.array(values).mean(axis=0)
    score = summaries.score(three_kinds(np.array(values)), "success")
    assert score is not None
    assert means.min() * (1 - 1e-9) <= score.mean <= means.mean() * (1 + 1e-9)


def test_score_interval_agrees_with_a_bootstrap_over_records() -> None:
    random = np.random.default_rng(0)
    ability = random.beta(4, 2, size=(300, 1))  # kinds of one record go together, as they do in life
    values = 100 * random.binomial(10, np.clip(ability * [1.2, 1.0, 0.8], 0, 1)) / 10
    resamples = random.integers(0, len(values), size=(4000, len(values)))
    bootstrap = 3 / (1 / values[resamples].mean(axis=1)).sum(axis=1)
    score = summaries.score(three_kinds(values), "success")
    assert score is not None
    assert score.ci95 == pytest.approx(1.96 * bootstrap.std(), rel=0.06)


def test_score_interval_counts_a_record_only_for_the_kinds_that_it_has() -> None:
    random = np.random.default_rng(1)
    values = 100 * random.beta(4, 2, size=(200, 3))
    without = three_kinds(values).filter(
        (pl.col("kind") != "generalization") | (pl.col("request_id").cast(pl.Int64) < 50)
    )
    means = [values[:, 0].mean(), values[:50, 1].mean(), values[:, 2].mean()]
    resamples = [
        values[random.integers(0, n, size=(4000, n)), k].mean(axis=1) for k, n in ((0, 200), (1, 50), (2, 200))
    ]
    score = summaries.score(without, "success")
    assert score is not None
    assert score.mean == pytest.approx(3 / sum(1 / mean for mean in means))
    assert score.ci95 == pytest.approx(1.96 * (3 / sum(1 / resample for resample in resamples)).std(), rel=0.06)
