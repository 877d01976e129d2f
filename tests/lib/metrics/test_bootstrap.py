"""The bootstrap over edits: known distributions, what is not measured, and its place in the metrics."""

import itertools
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import pytest

from lib.core.records import Score
from lib.metrics import bootstrap, scores, summaries
from lib.metrics.bootstrap import Resampling


def test_the_interval_of_a_mean_is_the_normal_one_where_that_holds() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=(400, 1))
    interval = bootstrap.interval(bootstrap.means(values, Resampling(draws=4000, seed=0))[:, 0])
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert interval is not None
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_every_mean_of_two_edits_is_drawn_as_often_as_chance_says() -> None:
    means = bootstrap.means(np.array([[0.0], [1.0]]), Resampling(draws=8000, seed=1))[:, 0]
    shares = [np.isclose(means, mean).mean() for mean in (0, 0.5, 1)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_columns_of_a_draw_are_of_the_same_edits() -> None:
    values = np.random.default_rng(0).random((50, 1))
    means = bootstrap.means(np.concatenate([values, 1 - values], axis=1), Resampling(draws=100, seed=0))
    assert means.sum(axis=1) == pytest.approx(np.ones(100))
    assert means[:, 0].std() > 0.01


def test_the_same_seed_gives_the_same_draws_and_another_seed_others() -> None:
    values = np.random.default_rng(0).random((30, 2))
    first, same, reseeded = (bootstrap.means(values, Resampling(draws=9, seed=seed)) for seed in (3, 3, 4))
    assert (first == same).all()
    assert (first != reseeded).any()


def test_draws_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((30, 2))
    full = bootstrap.means(values, Resampling(draws=10, seed=3))
    monkeypatch.setattr(bootstrap, "_CELLS", 4 * 30)
    assert bootstrap.means(values, Resampling(draws=10, seed=3)) == pytest.approx(full, abs=1e-12)


def test_what_is_not_measured_counts_neither_as_a_value_nor_as_an_edit() -> None:
    values = np.array([[2.0, np.nan], [np.nan, np.nan], [2.0, np.nan]])
    means = bootstrap.means(values, Resampling(draws=200, seed=0))
    assert set(means[~np.isnan(means[:, 0]), 0]) == {2.0}
    assert np.isnan(means[:, 0]).mean() == pytest.approx(1 / 27, abs=0.05)  # only the edit that has none was drawn
    assert bootstrap.interval(means[:, 1]) is None


def test_no_edit_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="wanted at least one edit to draw"):
        bootstrap.means(np.empty((0, 1)), Resampling(draws=1, seed=0))


def test_the_harmonic_mean_is_zero_where_a_term_is_and_unknown_where_one_is() -> None:
    terms = np.array([[100.0, 50.0, 25.0], [0.0, 50.0, 25.0], [np.nan, 50.0, 25.0]])
    score = bootstrap.harmonic(terms)
    assert score[:2] == pytest.approx([3 / (1 / 100 + 1 / 50 + 1 / 25), 0])
    assert np.isnan(score[2])


def _row(random: np.random.Generator, edit: int, when: Any, kind: Any, role: Any) -> Score:
    """A score at random, of a target of one token that is 0 or 1."""
    answer = int(random.integers(2))
    return Score(
        request_id=str(edit), session=0, when=when, kind=kind, prompt_index=0, role=role, prompt="", target="",
        nll=float(random.random()), tokens=1, correct=answer, argmax=(answer,),
    )  # fmt: skip


def _records(n: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    keys = itertools.product(range(n), scores.WHENS, scores.KINDS, ("new", "true"))
    records = scores.per_record(pl.LazyFrame([asdict(_row(random, *key)) for key in keys]))
    beside = records.select(scores.RECORD).with_columns(
        pl.Series(name, random.random(len(records)))
        for name in ("exact_match", "took", "repetition", "answered", "kl", "fluency", "consistency")
    )
    texts = [
        beside.filter(pl.col("kind") == "efficacy").with_columns(kind=pl.lit(kind)) for kind in ("generation", "chat")
    ]
    return scores.joined(records, [pl.concat([beside, *texts])])


def test_details_have_an_interval_for_every_measure_beside_the_old_keys() -> None:
    after = summaries.details(_records(60), "success")["after"]
    for name, measures in after.items():
        assert measures.keys() == set(scores.SCORED if name == "score" else scores.measured_on(name))
        for measure, of_measure in measures.items():
            assert of_measure.keys() == {"mean", "ci95", "n", "bootstrap"}
            assert of_measure["bootstrap"]["low"] < of_measure["mean"] < of_measure["bootstrap"]["high"], (
                name,
                measure,
            )
            half = (of_measure["bootstrap"]["high"] - of_measure["bootstrap"]["low"]) / 2
            assert half == pytest.approx(of_measure["ci95"], rel=0.15), (name, measure)


def test_details_draw_with_the_resampling_they_are_given() -> None:
    records = _records(20)
    first, same, reseeded = (
        summaries.details(records, "success", Resampling(draws=50, seed=seed))["after"]["score"]["success"]
        for seed in (0, 0, 1)
    )
    assert first == same
    assert first["mean"] == reseeded["mean"]
    assert first["bootstrap"] != reseeded["bootstrap"]
