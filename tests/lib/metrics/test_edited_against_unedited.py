"""The edited model against the unedited one: differences of the same edits, before and after."""

from dataclasses import asdict, replace

import polars as pl
import pytest

from lib.core.records import Score
from lib.metrics.comparison import edited_against_unedited

ONE = Score(
    request_id="a", session=0, when="before", kind="efficacy", prompt_index=0, role="new", prompt="p", target="t",
    nll=1.0, tokens=10, correct=1, argmax=(0,),
)  # fmt: skip
EDITS = pl.DataFrame(
    {"request_id": ["a", "b", "c"], "prompt": ["p"] * 3, "target_new": ["t"] * 3, "target_true": [None] * 3},
    schema_overrides={"target_true": pl.String},
)


def test_differences_are_after_minus_before_of_every_edit_and_of_the_last_session() -> None:
    before, earlier, last = {"a": 1, "b": 5, "c": 9}, {"a": 0, "b": 0, "c": 0}, {"a": 4, "b": 5, "c": 8}
    rows = [replace(ONE, request_id=edit, correct=correct) for edit, correct in before.items()]
    for session, values in ((2, earlier), (3, last)):
        rows += [
            replace(ONE, request_id=edit, correct=correct, when="after", session=session)
            for edit, correct in values.items()
        ]
    comparison = edited_against_unedited(EDITS, pl.DataFrame([asdict(row) for row in rows]))
    (row,) = (candidate for candidate in comparison.rows if candidate.measure == "token_accuracy")
    assert (comparison.a, comparison.b, comparison.n) == ("unedited", "edited", 3)
    assert (row.a, row.b, row.difference) == pytest.approx((50, 170 / 3, 20 / 3))
    assert (row.wins, row.ties, row.losses) == (1, 1, 1)
    assert comparison.other_prompts == {}


def test_the_unedited_model_is_unchanged() -> None:
    local = replace(ONE, kind="locality", role="true", argmax=(5, 6), tokens=2)
    rows = [
        replace(local, request_id=edit, when=when, argmax=(5, 6 if when == "before" else 7))
        for edit in "abc"
        for when in ("before", "after")
    ]
    rows += [replace(ONE, request_id=edit, when=when) for edit in "abc" for when in ("before", "after")]
    comparison = edited_against_unedited(EDITS, pl.DataFrame([asdict(row) for row in rows]))
    means = {row.measure: (row.a, row.b) for row in comparison.rows if row.measure.startswith("unchanged")}
    assert means == {"unchanged": (100, 0), "unchanged_tokens": (100, 50)}


def test_texts_are_compared_and_what_only_an_edited_model_has_is_not() -> None:
    rows = [replace(ONE, request_id=edit, when=when) for edit in "abc" for when in ("before", "after")]
    about = {"request_id": ["a", "b", "c"] * 2, "when": ["before"] * 3 + ["after"] * 3, "session": [0] * 6}
    fluency = pl.DataFrame(about | {"kind": ["generation"] * 6, "fluency": [500.0, 510.0, 520.0, 480.0, 510.0, 530.0]})
    kl = pl.DataFrame(about | {"kind": ["locality"] * 6, "kl": [0.5] * 6}).filter(pl.col("when") == "after")
    comparison = edited_against_unedited(EDITS, pl.DataFrame([asdict(row) for row in rows]), [fluency, kl])
    (row,) = (candidate for candidate in comparison.rows if candidate.measure == "fluency")
    assert (row.a, row.b, row.n) == pytest.approx((510, 1520 / 3, 3))
    assert (row.wins, row.ties, row.losses) == (1, 1, 1)
    assert "kl" not in {row.measure for row in comparison.rows}
