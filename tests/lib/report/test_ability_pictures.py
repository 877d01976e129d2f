"""General abilities for the report: from the metrics file to lines, bars and curves."""

from typing import Any

import pytest

from lib.metrics.abilities import lines
from lib.report import pictures
from lib.report.plots import panels
from lib.report.plots.svg import Drawing, drawing

DRAWING = drawing(1, 1, [], "1.")


def entry(before: float, after: float | None, **changed: Any) -> dict[str, Any]:
    values = {"metric": "acc", "unit": "percent", "n": 5, "of": 9, "chance": 25, "truncated": 0}
    values |= {"before": before, "before_ci95": 1.0}
    return values | ({} if after is None else {"after": after, "after_ci95": 2.0}) | changed


def test_a_tasks_headline_comes_before_its_further_metrics_and_alone_has_a_chance() -> None:
    more = {"f1": {"before": 7.0, "before_ci95": 0.5, "after": 6.0, "after_ci95": 0.25}}
    first, second = lines({"ner": entry(50.0, 40.0, more=more)})
    assert (first.metric, first.main, first.chance) == ("acc", True, 25)
    assert (first.before, first.after) == ((50.0, 1.0), (40.0, 2.0))
    assert (second.metric, second.main, second.chance) == ("f1", False, None)
    assert (second.before, second.after) == ((7.0, 0.5), (6.0, 0.25))


def test_what_was_not_measured_after_has_none_and_what_is_infinite_before_has_no_line() -> None:
    (line,) = lines({"ner": entry(50.0, None), "perplexity": entry(None, 3.0)})  # type: ignore[arg-type]
    assert (line.task, line.after) == ("ner", None)


def test_curves_run_from_the_unedited_model_over_the_checkpoints_in_order_to_the_last_edit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panels_of_page: list[panels.Panel] = []

    def collected(new_panels: list[panels.Panel], **_: Any) -> Drawing:
        panels_of_page.extend(new_panels)
        return DRAWING

    monkeypatch.setattr(pictures, "panels", collected)
    by_title = {
        "tasks": {"ner": entry(50.0, 10.0), "perplexity": entry(2.0, 9.0, unit="perplexity", chance=None)},
        "sessions": {"10": {"ner": entry(50.0, 20.0)}, "2": {"ner": entry(50.0, 30.0)}},
    }
    bars, curves = pictures.ability_pictures(by_title, edits=78)
    assert (bars.name, curves.name) == ("abilities", "abilities_by_edits")
    assert curves.drawing is DRAWING
    ner, perplexity = panels_of_page
    (line,) = ner.series
    assert (line.edits, line.values, line.ci95) == ([0, 2, 10, 78], [50.0, 30.0, 20.0, 10.0], [1.0, 2.0, 2.0, 2.0])
    assert (ner.percent, ner.levels) == (True, {"guessing": 25})
    assert (perplexity.series[0].edits, perplexity.percent, perplexity.levels) == ([0, 78], False, {})


def test_a_run_without_checkpoints_has_bars_only_and_one_without_tasks_has_none() -> None:
    (bars,) = pictures.ability_pictures({"tasks": {"ner": entry(50.0, 10.0)}, "sessions": {}}, edits=78)
    assert bars.drawing is not None
    assert "ner: before 50.0 ± 1.0 %, after 10.0 ± 2.0 %, guessing 25 %" in bars.drawing.alt
    assert pictures.ability_pictures({}, edits=78) == []
