"""Two runs edit by edit: hand-worked differences, equal runs, other facts, other prompts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import cast

import numpy as np
import polars as pl
import pytest

from apps.compare import table
from lib.core.records import Kind, Score
from lib.metrics import scores as metrics
from lib.metrics import summaries
from lib.metrics.bootstrap import Resampling
from lib.metrics.comparison import Comparison, ComparisonRow, RunTables, compare

KINDS = cast(tuple[Kind, ...], metrics.KINDS)
Correct = Mapping[Kind, Sequence[int]]
"""By kind, how many of ten target tokens each edit gets right."""


def run(name: str, correct: Correct, session: int = 0, prompt: str = "p") -> RunTables:
    """A run whose every edit has one prompt of each kind in `correct`; before the edit nothing is right."""
    n = len(next(iter(correct.values())))
    rows = [
        Score(
            request_id=f"e{edit}",
            session=session if when == "after" else 0,
            when=when,
            kind=kind,
            prompt_index=0,
            role="true" if kind == "locality" else "new",
            prompt=prompt,
            target="t",
            nll=1.0,
            tokens=10,
            correct=values[edit] if when == "after" else 0,
            argmax=(0,),
        )
        for when in ("before", "after")
        for kind, values in correct.items()
        for edit in range(n)
    ]
    edits = [{"request_id": f"e{edit}", "prompt": "p", "target_new": "t", "target_true": None} for edit in range(n)]
    types = {"target_true": pl.String}
    return RunTables(
        name=name,
        edits=pl.DataFrame(edits, schema_overrides=types),
        scores=pl.DataFrame([asdict(row) for row in rows]),
    )


def row_of(comparison: Comparison, kind: str, measure: str = "token_accuracy") -> ComparisonRow:
    (row,) = (candidate for candidate in comparison.rows if (candidate.kind, candidate.measure) == (kind, measure))
    return row


def test_difference_interval_and_sign_test_are_of_the_edits_differences() -> None:
    comparison = compare(run("a", {"efficacy": [1, 5, 5, 2, 0]}), run("b", {"efficacy": [3, 5, 9, 4, 1]}))
    row = row_of(comparison, "efficacy")
    differences = np.array([20, 0, 40, 20, 10])
    assert (row.n, row.wins, row.ties, row.losses) == (5, 4, 1, 0)
    assert (row.a, row.b, row.difference) == pytest.approx((26, 44, 18))
    assert row.ci95 == pytest.approx(1.96 * differences.std() / math.sqrt(5))
    assert row.p_value == pytest.approx(2 / 2**4)  # four wins of four, either way
    assert row.bootstrap is not None
    assert 0 < row.bootstrap.low < 18 < row.bootstrap.high < 40


def test_edits_that_go_together_give_a_narrower_interval_than_either_run_has() -> None:
    hard = np.random.default_rng(0).integers(0, 9, size=200)
    a = run("a", {"efficacy": hard.tolist()})
    row = row_of(compare(a, run("b", {"efficacy": (hard + 1).tolist()})), "efficacy")
    assert row.difference == pytest.approx(10)
    assert row.ci95 == pytest.approx(0, abs=1e-6)
    alone = summaries.summary(metrics.per_record(a.scores.lazy()).filter(when="after"), "token_accuracy")
    assert alone is not None
    assert alone.ci95 > 3


def test_a_run_compared_with_itself_has_ties_only() -> None:
    correct = {kind: list(range(10)) for kind in KINDS}
    comparison = compare(run("a", correct), run("b", correct))
    for row in comparison.rows:
        assert row.difference == 0
        if row.kind != "score":
            assert (row.p_value, row.wins, row.ties, row.losses) == (1, 0, 10, 0)


def test_the_score_is_the_harmonic_mean_with_a_bootstrap_over_paired_edits() -> None:
    values = np.random.default_rng(0).integers(1, 10, size=(3, 100))
    a = {kind: column.tolist() for kind, column in zip(KINDS, values, strict=True)}
    b = {kind: (column + 1).tolist() for kind, column in zip(KINDS, values, strict=True)}
    row = row_of(compare(run("a", a), run("b", b)), "score")
    score_a, score_b = (3 / (1 / (10 * correct_shares.mean(axis=1))).sum() for correct_shares in (values, values + 1))
    assert (row.a, row.b, row.difference) == pytest.approx((score_a, score_b, score_b - score_a))
    assert row.bootstrap is not None
    assert row.bootstrap.low < row.difference < row.bootstrap.high
    assert row.bootstrap.high - row.bootstrap.low < 1
    assert (row.ci95, row.p_value, row.wins) == (None, None, None)


def test_without_locality_there_is_no_score() -> None:
    comparison = compare(run("a", {"efficacy": [1]}), run("b", {"efficacy": [2]}))
    assert {row.kind for row in comparison.rows} == {"efficacy"}


def test_the_order_of_rows_does_not_matter() -> None:
    a, b = run("a", {"efficacy": [1, 5, 5]}), run("b", {"efficacy": [3, 5, 9]})
    turned = replace(b, scores=b.scores.reverse(), edits=b.edits.reverse())
    assert compare(a, turned).rows == compare(a, b).rows


def test_of_a_sequential_run_the_last_checkpoint_counts() -> None:
    early, late = run("b", {"efficacy": [0, 0]}, session=1), run("b", {"efficacy": [4, 6]}, session=2)
    scores = pl.concat([early.scores.filter(when="after"), late.scores])
    comparison = compare(run("a", {"efficacy": [1, 1]}), replace(late, scores=scores))
    assert row_of(comparison, "efficacy").b == 50


def test_runs_on_other_edits_are_refused_with_their_number() -> None:
    a, b = run("one", {"efficacy": [1, 2, 3]}), run("other", {"efficacy": [1]})
    with pytest.raises(ValueError, match="not about the same facts: 2 edits in one only, 0 in other only, 0 of the 1"):
        compare(a, b)
    with pytest.raises(ValueError, match="0 edits in other only, 2 in one only"):
        compare(b, a)


@pytest.mark.parametrize(("column", "value"), [("prompt", "q"), ("target_new", "u"), ("target_true", "v")])
def test_runs_on_other_facts_under_the_same_ids_are_refused(column: str, value: str) -> None:
    a, b = (run(name, {"efficacy": [1, 2]}) for name in "ab")
    changed = b.edits.with_columns(
        pl.when(pl.col("request_id") == "e1").then(pl.lit(value)).otherwise(column).alias(column)
    )
    with pytest.raises(ValueError, match="1 of the 2 in both with another prompt or object"):
        compare(a, replace(b, edits=changed))


def test_an_edit_without_scores_is_refused() -> None:
    a, b = (run(name, {"efficacy": [1, 2]}) for name in "ab")
    with pytest.raises(ValueError, match="1 of 2 edits have scores after the edit in both"):
        compare(a, replace(b, scores=b.scores.filter(pl.col("request_id") == "e0")))


def test_other_prompts_about_the_same_facts_are_compared_and_said() -> None:
    comparison = compare(run("a", {"efficacy": [1, 2]}), run("b", {"efficacy": [1, 2]}, prompt="q"))
    assert comparison.other_prompts == {"efficacy": 2}
    assert "Of 2 edits the two runs were asked other efficacy prompts" in table(comparison)
    assert compare(run("a", {"efficacy": [1]}), run("b", {"efficacy": [2]})).other_prompts == {}


def test_the_same_seed_gives_the_same_intervals() -> None:
    a, b = run("a", {"efficacy": [1, 5, 5]}), run("b", {"efficacy": [3, 5, 9]})
    first, same, reseeded = (compare(a, b, Resampling(draws=20, seed=seed)).rows for seed in (0, 0, 1))
    assert first == same
    assert first != reseeded


def test_the_table_names_both_runs_and_signs_the_difference() -> None:
    lines = table(compare(run("old", {"efficacy": [1, 5]}), run("new", {"efficacy": [0, 3]}))).splitlines()
    assert lines[0].startswith("|  | N | A: old | B: new | B - A |")
    assert "| teacher-forced efficacy (token accuracy) | 2 | 30.00 | 15.00 | -15.00 | -21.93 .. -8.07 |" in "\n".join(
        lines
    )
    assert lines[-1].endswith("| 0 / 0 / 2 |")
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
