"""The rows behind the plots."""

import polars as pl

from lib.metrics import plot_rows
from lib.metrics.headline import COLUMNS


def per_record(*rows: tuple[str, str, str, float | None]) -> pl.DataFrame:
    """A frame as metrics.per_record's from (when, kind, request_id, success in percent)."""
    schema = {"when": pl.String, "kind": pl.String, "request_id": pl.String, "success": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_scores_have_a_row_for_what_was_measured_and_none_for_what_was_not() -> None:
    names = [column.name for column in COLUMNS]
    nothing = dict.fromkeys([*names, *(f"{name}_ci95" for name in names)])
    rows = plot_rows.score_rows(
        nothing | {"exact_match": 12.35, "exact_match_ci95": 1.0, "unchanged": 7.0, "kl": 0.5, "unchanged_ci95": 2.0,
                   "counts": dict.fromkeys(names, 7), "before": {"exact_match": 4.0, "efficacy": None}}
    )  # fmt: skip
    assert [(row["label"], row["value"], row["ci95"], row["n"]) for row in rows] == [
        ("exact match, before", 4.0, None, 7),
        ("exact match, after", 12.35, 1.0, 7),
        ("unchanged, after", 7.0, 2.0, 7),
    ]


def test_relations_come_with_most_edits_first_and_say_what_they_lack() -> None:
    records = per_record(
        ("after", "efficacy", "a", 100), ("after", "efficacy", "b", 0), ("after", "efficacy", "c", 100),
        ("after", "locality", "c", 40), ("before", "efficacy", "c", 0), ("after", "efficacy", "d", 50),
        ("after", "efficacy", "e", None),
    )  # fmt: skip
    edits = pl.DataFrame({"request_id": list("abcde"), "relation": ["rare", "most", "most", None, "unmeasured"]})
    assert plot_rows.relation_rows(records, edits, "success") == [
        {"relation": "most", "n": 2, "efficacy": 50, "generalization": None, "locality": 40},
        {"relation": "rare", "n": 1, "efficacy": 100, "generalization": None, "locality": None},
    ]


def test_locality_stands_beside_the_mean_similarity_of_the_edits_own_neighbors() -> None:
    records = per_record(
        ("before", "locality", "a", 100), ("after", "locality", "a", 80), ("after", "locality", "b", 60),
        ("after", "efficacy", "a", 0),
    )  # fmt: skip
    neighbors = pl.DataFrame({"request_id": ["a", "a", "c"], "similarity": [0.2, 0.6, 0.9]})
    assert plot_rows.locality_rows(records, neighbors, "success") == [
        {"request_id": "a", "before": 100, "after": 80, "similarity": 0.4},
        {"request_id": "b", "before": None, "after": 60, "similarity": None},
    ]


def test_nll_shift_is_above_zero_where_the_new_object_is_ahead() -> None:
    nll = pl.DataFrame(
        {"request_id": ["a", "b"], "new_before": [3.0, 1.0], "true_before": [1.0, None], "new_after": [0.5, 1.0],
         "true_after": [2.0, None]}
    )  # fmt: skip
    assert plot_rows.nll_rows(nll) == [{"request_id": "a", "before": -2.0, "after": 1.5}]


def test_many_edits_are_thinned_evenly() -> None:
    count = plot_rows.POINTS * 2 + 1
    nll = pl.DataFrame({"request_id": range(count), **{f"{name}_{when}": [0.0] * count for name in ("new", "true")
                                                     for when in ("before", "after")}})  # fmt: skip
    rows = plot_rows.nll_rows(nll)
    assert [row["request_id"] for row in rows] == list(range(0, count, 3))
    assert len(rows) <= plot_rows.POINTS
