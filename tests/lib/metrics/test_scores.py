"""Metrics: hand-worked values of every measure of an edit."""

import math
from dataclasses import asdict
from typing import Any

import polars as pl
import pytest

from lib.core.records import Score
from lib.metrics import scores, summaries

LN2 = math.log(2)


def row(request_id: str, kind: str, role: str, nll: float, **changed: Any) -> Score:
    """One score of the first prompt after the edit; one token, not the argmax, unless changed."""
    values: dict[str, Any] = {"session": 0, "when": "after", "prompt_index": 0, "prompt": "p", "target": "t"}
    values |= {"tokens": 1, "correct": 0, "argmax": (0,)} | changed
    return Score(request_id=request_id, kind=kind, role=role, nll=nll, **values)  # type: ignore[arg-type]


def records_of(*rows: Score) -> pl.DataFrame:
    return scores.per_record(pl.LazyFrame([asdict(row) for row in rows]))


def measured(records: pl.DataFrame, kind: str, measure: str) -> summaries.Summary | None:
    return summaries.summary(records.filter(pl.col("kind") == kind), measure)


def test_nll_is_compared_per_token_so_a_longer_target_is_not_punished_for_its_length() -> None:
    records = records_of(
        row("a", "efficacy", "new", 3 * LN2, tokens=3), row("a", "efficacy", "true", 2 * LN2, tokens=1)
    )
    assert measured(records, "efficacy", "success") == summaries.Summary(mean=100, ci95=0, n=1)


def test_magnitude_is_the_difference_of_per_token_probabilities_in_percent() -> None:
    records = records_of(
        row("a", "efficacy", "new", 2 * LN2, tokens=2), row("a", "efficacy", "true", 4 * LN2, tokens=2)
    )
    values = measured(records, "efficacy", "magnitude")
    assert values is not None
    assert values.mean == pytest.approx(100 * (1 / 2 - 1 / 4))


def test_locality_sets_the_true_object_against_the_new_one() -> None:
    records = records_of(row("a", "locality", "true", 1 * LN2, correct=1), row("a", "locality", "new", 2 * LN2))
    success, magnitude, accuracy = (
        measured(records, "locality", measure) for measure in ("success", "magnitude", "accuracy")
    )
    assert (success, accuracy) == (summaries.Summary(mean=100, ci95=0, n=1),) * 2
    assert magnitude is not None
    assert magnitude.mean == pytest.approx(100 * (1 / 2 - 1 / 4))


@pytest.mark.parametrize("kind", scores.KINDS)
def test_a_tie_is_no_success(kind: str) -> None:
    records = records_of(row("a", kind, "new", LN2), row("a", kind, "true", LN2))
    assert measured(records, kind, "success") == summaries.Summary(mean=0, ci95=0, n=1)


def test_one_wrong_token_of_two_is_half_a_token_accuracy_and_no_accuracy() -> None:
    records = records_of(row("a", "efficacy", "new", LN2, tokens=2, correct=1))
    assert measured(records, "efficacy", "token_accuracy") == summaries.Summary(mean=50, ci95=0, n=1)
    assert measured(records, "efficacy", "accuracy") == summaries.Summary(mean=0, ci95=0, n=1)


def test_prompts_are_averaged_within_a_record_before_records_are() -> None:
    took = [row("a", "generalization", role, nll) for role, nll in (("new", 1.0), ("true", 2.0))]
    failed = [
        row(request_id, "generalization", role, nll, prompt_index=index)
        for request_id, index in (("a", 1), ("a", 2), ("a", 3), ("b", 0))
        for role, nll in (("new", 2.0), ("true", 1.0))
    ]
    records = records_of(*took, *failed)  # a: one of four, b: none of one
    half_width = 1.96 * 12.5 / math.sqrt(2)
    assert measured(records, "generalization", "success") == summaries.Summary(mean=12.5, ci95=half_width, n=2)


def test_a_record_without_a_true_object_is_not_counted_for_success_but_for_accuracy() -> None:
    records = records_of(
        row("a", "efficacy", "new", 1.0), row("a", "efficacy", "true", 2.0), row("b", "efficacy", "new", 1.0, correct=1)
    )
    assert measured(records, "efficacy", "success") == summaries.Summary(mean=100, ci95=0, n=1)
    accuracy = measured(records, "efficacy", "accuracy")
    assert accuracy is not None
    assert (accuracy.mean, accuracy.n) == (50, 2)


def test_an_nll_that_is_not_a_number_is_an_error_that_counts_the_rows() -> None:
    with pytest.raises(ValueError, match="1 rows have an NLL that is not a number"):
        records_of(row("a", "efficacy", "new", math.nan), row("a", "efficacy", "true", 1.0))


def test_an_edit_that_was_not_scored_is_an_error_that_names_it() -> None:
    records = records_of(*(row("a", "efficacy", "new", 1.0, when=when) for when in scores.WHENS))
    scores.check_complete(records, pl.Series(["a"]))
    with pytest.raises(ValueError, match="1 edits without a score before the edit, the first is 'b'"):
        scores.check_complete(records, pl.Series(["a", "b"]))
    with pytest.raises(ValueError, match=r"1 scores before of edits that are not in requests\.parquet"):
        scores.check_complete(records, pl.Series(["a"]).clear())


def test_efficacy_nll_is_per_token_and_null_where_there_is_no_true_object() -> None:
    rows = [row("a", "efficacy", "new", 4.0, tokens=2, when=when) for when in scores.WHENS]
    shifts = scores.efficacy_nll(
        pl.LazyFrame([asdict(row_of_run) for row_of_run in [*rows, row("a", "efficacy", "true", 3.0)]])
    )
    assert shifts.to_dicts() == [
        {"request_id": "a", "new_before": 2.0, "true_before": None, "new_after": 2.0, "true_after": 3.0}
    ]


def test_the_order_of_the_rows_changes_no_bit() -> None:
    rows = [
        row("a", "locality", role, 0.1 * prompt + shift, prompt_index=prompt)
        for prompt in range(7)
        for role, shift in (("true", 0.31), ("new", 0.77))
    ]
    records = records_of(*rows)
    for start in range(1, len(rows)):
        assert records.equals(records_of(*rows[start:], *rows[:start]), null_equal=True)
