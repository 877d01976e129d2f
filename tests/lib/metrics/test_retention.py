"""Retention: worked out by hand on two edits and two checkpoints."""

from dataclasses import asdict

import polars as pl
import pytest

from lib.metrics import retention
from lib.metrics.scores import per_record
from tests.lib.metrics.test_scores import row


def run() -> pl.LazyFrame:
    """Edit a is scored after 1 and 2 edits, b after 2; a takes at first and is then lost, b takes."""
    rows = []
    for edit in ("a", "b"):
        rows += [row(edit, "efficacy", "new", 2.0, when="before"), row(edit, "efficacy", "true", 1.0, when="before")]
    for edit, session, took in (("a", 1, True), ("a", 2, False), ("b", 2, True)):
        new, true = (1.0, 2.0) if took else (2.0, 1.0)
        rows += [
            row(edit, "efficacy", "new", new, session=session),
            row(edit, "efficacy", "true", true, session=session),
        ]
    return pl.LazyFrame([asdict(row) for row in rows])


def test_immediate_and_final_scores_of_every_edit() -> None:
    rows = retention.immediate_and_final(per_record(run()), "success")
    assert rows == {"efficacy": {"immediate": 100.0, "final": 50.0, "oldest_immediate": 100.0, "oldest_final": 0.0}}


def test_the_curve_has_all_edits_so_far_the_oldest_and_the_newest() -> None:
    rows = retention.curve(per_record(run()), "success")
    means = {(row["edits"], row["group"]): (row["mean"], row["n"]) for row in rows if row["kind"] == "efficacy"}
    assert means == {
        (1, "all so far"): (100.0, 1),
        (1, "oldest"): (100.0, 1),
        (1, "newest"): (100.0, 1),
        (2, "all so far"): (50.0, 2),
        (2, "oldest"): (0.0, 1),
        (2, "newest"): (100.0, 1),
    }


def test_the_headline_is_about_the_last_session() -> None:
    last = retention.last_session(run()).filter(pl.col("when") == "after").collect()
    assert last["session"].unique().to_list() == [2]
    assert last["request_id"].n_unique() == 2


@pytest.mark.parametrize("function", [retention.curve, retention.immediate_and_final])
def test_one_session_has_no_retention(function: object) -> None:
    records = per_record(run().filter(pl.col("session") != 1))
    assert not function(records, "success")  # type: ignore[operator]
