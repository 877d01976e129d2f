"""Locality as what is unchanged before and after the edit: token by token, on locality prompts only."""

from dataclasses import asdict
from typing import Any

import polars as pl
import pytest

from lib.core.records import Score
from lib.metrics import scores


def row(when: str, argmax: tuple[int, ...], **changed: Any) -> Score:
    """One score of a locality prompt's own answer."""
    values: dict[str, Any] = {"request_id": "a", "session": 0, "kind": "locality", "prompt_index": 0, "role": "true"}
    values |= {"prompt": "p", "target": "t", "nll": 1.0, "tokens": max(1, len(argmax)), "correct": 0, "argmax": argmax}
    return Score(when=when, **(values | changed))  # type: ignore[arg-type]


def unchanged(*rows: Score, measure: str = "unchanged_tokens", kind: str = "locality") -> float | None:
    records = scores.per_record(pl.LazyFrame([asdict(row) for row in rows], schema_overrides=_TYPES))
    value: float | None = records.filter(when="after", kind=kind)[measure].item()
    return value


_TYPES = {"argmax": pl.List(pl.Int64)}


def test_one_of_three_tokens_that_moved_leaves_two_thirds_unchanged() -> None:
    assert unchanged(row("before", (5, 6, 7)), row("after", (5, 9, 7))) == pytest.approx(200 / 3)


def test_an_answer_is_unchanged_where_every_token_is() -> None:
    moved = row("before", (5, 6, 7)), row("after", (5, 9, 7))
    same = row("before", (5, 6), prompt_index=1), row("after", (5, 6), prompt_index=1)
    assert unchanged(*moved, measure="unchanged") == 0
    assert unchanged(*same, measure="unchanged") == 100
    assert unchanged(*moved, *same, measure="unchanged") == 50
    assert unchanged(row("before", (1,)), row("after", (1, 2)), measure="unchanged") is None


def test_it_asks_neither_whether_the_answer_is_right_nor_what_is_said_of_the_new_object() -> None:
    wrong_both_times = row("before", (5,), correct=0), row("after", (5,), correct=0)
    of_the_new = row("before", (1,), role="new"), row("after", (2,), role="new")
    assert unchanged(*wrong_both_times, *of_the_new) == 100


def test_each_prompt_is_set_against_itself_and_the_record_is_their_mean() -> None:
    rows = [row(when, (token,), prompt_index=index) for when, tokens in (("before", (1, 2)), ("after", (1, 3)))
            for index, token in enumerate(tokens)]  # fmt: skip
    assert unchanged(*rows) == 50


def test_a_session_of_a_sequential_run_is_set_against_the_unedited_model() -> None:
    assert unchanged(row("before", (1,), session=0), row("after", (1,), session=12)) == 100


def test_without_what_was_said_before_it_is_not_measured() -> None:
    assert unchanged(row("after", (1,))) is None


def test_another_number_of_tokens_than_before_is_not_measured() -> None:
    assert unchanged(row("before", (1,)), row("after", (1, 2))) is None


def test_scores_of_an_older_run_without_the_tokens_said_are_measured_in_everything_else() -> None:
    rows = [asdict(row(when, (1,), correct=1)) for when in scores.WHENS]
    records = scores.per_record(pl.LazyFrame(rows).drop("argmax"))
    after = records.filter(when="after")
    assert (after["unchanged_tokens"].item(), after["token_accuracy"].item()) == (None, 100)


@pytest.mark.parametrize("kind", ["efficacy", "generalization"])
def test_easyedit_is_token_accuracy_where_the_edit_is_meant_to_change_something(kind: str) -> None:
    rows = [row(when, (1, 2), kind=kind, role="new", correct=1) for when in scores.WHENS]
    assert unchanged(*rows, measure="easyedit", kind=kind) == 50
    assert unchanged(*rows, kind=kind) is None
