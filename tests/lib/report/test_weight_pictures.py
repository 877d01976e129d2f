"""Weight changes for the report: from stage edit's table and maps to rows and pictures."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from lib.metrics.weights import last_rows, shares
from lib.report import pictures
from lib.report.plots.panels import Panel
from lib.report.plots.svg import Drawing, drawing

DRAWING = drawing(1, 1, [], "1.")


def table(*rows: tuple[int, str, float]) -> pl.DataFrame:
    """A weight table from (edits, path, Frobenius norm)."""
    second_row = {"entries": 12, "manhattan": 3.0, "share_above_0.077": 20.0, "share_above_0.5": 10.0, "rank": 1}
    values = [
        {"edits": edits, "path": path, "frobenius": norm, **second_row, "largest": norm / 2, "base_largest": 4.0}
        for edits, path, norm in rows
    ]
    return pl.DataFrame(values)


MANY = table((1, "a", 1.0), (1, "all", 1.0), (9, "a", 1.0), (9, "b", 7.0), (9, "all", 7.1))


def test_rows_are_of_the_last_edit_the_total_first_then_the_most_changed_weight() -> None:
    assert [(row["edits"], row["path"]) for row in last_rows(MANY)] == [(9, "all"), (9, "b"), (9, "a")]


def test_a_total_of_one_weight_is_not_repeated_and_no_change_has_no_rows() -> None:
    assert [row["path"] for row in last_rows(table((9, "a", 1.0), (9, "all", 1.0)))] == ["a"]
    assert last_rows(MANY.clear()) == []


def test_shares_are_named_by_the_relative_change_in_percent() -> None:
    named = {"share_above_0.077": "changed by over 7.7 %", "share_above_0.5": "changed by over 50 %"}
    assert shares(MANY) == named


def test_curves_are_of_the_total_over_the_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    panels: list[Panel] = []

    def collected(new_panels: list[Panel], **_: Any) -> Drawing:
        panels.extend(new_panels)
        return DRAWING

    monkeypatch.setattr(pictures, "panels", collected)
    (curves,) = pictures.weight_pictures(MANY, {})
    assert curves.name == "weights_by_edits"
    assert curves.drawing is DRAWING
    by_title = {panel.title: (panel.series[0].edits, panel.series[0].values, panel.percent) for panel in panels}
    assert [by_title[title] for title in ("Frobenius norm", "changed by over 50 %")] == [
        ([1, 9], [1.0, 7.1], False), ([1, 9], [10.0, 10.0], True),
    ]  # fmt: skip
    assert {panel.title: panel.levels for panel in panels}["largest singular value"] == {"unedited": 4.0}


def test_one_session_has_maps_only_and_no_change_has_no_picture() -> None:
    (maps,) = pictures.weight_pictures(table((9, "a", 1.0), (9, "all", 1.0)), {"a": np.ones((2, 2))})
    assert (maps.name, maps.drawing is not None) == ("weight_maps", True)
    assert pictures.weight_pictures(MANY.clear(), {}) == []
