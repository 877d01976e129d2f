"""General abilities as the report shows them, from the metrics file of stage abilities."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib import ability_plots, curve_plots
from lib.metrics.abilities import PERCENT, Line, lines
from lib.report_pictures import Picture
from lib.report_text import ABSENT

_WIDTH = 4.0
"""Inches of the curves: less than of other pictures, so that their type is as large on the page."""


def pictures(metrics: Mapping[str, Any], edits: int) -> list[Picture]:
    """Bars before and after, and curves against the number of edits where there are checkpoints.

    `edits` is how many the whole run makes.
    """
    shown = [line for line in lines(metrics.get("tasks", {})) if line.main]
    bars = Picture(
        name="abilities",
        title="Abilities before and after",
        caption="With 95 % intervals over the examples; dotted: what guessing gives." if shown else f"{ABSENT}.",
        png=ability_plots.bars(shown) if shown else None,
    )
    sessions = {int(number): one for number, one in metrics.get("sessions", {}).items()}
    return [bars, _curves(shown, sessions, edits)] if sessions and shown else [bars]


def _curves(shown: Sequence[Line], sessions: Mapping[int, Mapping[str, Any]], edits: int) -> Picture:
    measured = {number: {line.task: line for line in lines(sessions[number]) if line.main} for number in sessions}
    measured[edits] = {line.task: line for line in shown}
    drawn = [_panel(line, dict(sorted(measured.items()))) for line in shown]
    return Picture(
        name="abilities_by_edits",
        title="Abilities while more edits are made",
        caption="At 0: the unedited model. With 95 % intervals over the examples; dotted: what guessing gives.",
        png=curve_plots.panels(drawn, columns=2, width=_WIDTH, height=1.5),
    )


def _panel(line: Line, measured: Mapping[int, Mapping[str, Line]]) -> curve_plots.Panel:
    known = {number: one[line.task].after for number, one in measured.items() if line.task in one}
    points = {0: line.before, **{number: value for number, value in known.items() if value is not None}}
    return curve_plots.Panel(
        title=line.task.replace("_", " "),
        series=[
            curve_plots.Series(
                label="measured",
                edits=list(points),
                values=[value for value, _ in points.values()],
                ci95=[width for _, width in points.values()],
            )
        ],
        percent=line.unit == PERCENT,
        levels={"guessing": line.chance} if line.chance else {},
    )
