"""The report's plots, each with a title, a caption, and the reason where there is nothing to draw."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib.metrics.abilities import PERCENT, Line, lines
from lib.metrics.bootstrap import Floats
from lib.metrics.weights import ABOVE, TOTAL, shares
from lib.report.plots import edits as plots
from lib.report.plots.bars import bars as ability_bars
from lib.report.plots.maps import change_maps
from lib.report.plots.panels import Panel, Series, panels
from lib.report.plots.style import WIDTH
from lib.report.wording import ABSENT

PlotRows = Sequence[Mapping[str, Any]]
_CURVES_WIDTH, _CURVES_HEIGHT = 4.0, 1.5
"""Inches of curves: less wide than other pictures, so that their type is as large on the page."""
_WEIGHT_CURVES = {"manhattan": "Manhattan norm", "frobenius": "Frobenius norm", "largest": "largest singular value"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One plot, or why there is none."""

    name: str
    """Of its file, without .png."""
    title: str
    caption: str
    png: bytes | None

    @property
    def uri(self) -> str:
        """The picture itself as an address, so that the page loads nothing."""
        return f"data:image/png;base64,{base64.b64encode(self.png or b'').decode()}"


def edit_pictures(rows: Mapping[str, PlotRows], loss: pl.DataFrame) -> list[Picture]:
    """The plots of the edits themselves from the rows of plot_rows by file name, and the training loss by step."""
    return [
        Picture(
            name="scores",
            title="Before and after the edit",
            caption="Percent, with 95 % intervals. Below the dotted line: teacher-forced, nothing is written.",
            png=plots.scores(rows["scores"]) if rows["scores"] else None,
        ),
        _locality(rows["locality_by_similarity"]),
        Picture(
            name="training_loss",
            title="Training loss",
            caption="Over the training pairs of all edits." if len(loss) else "This editor keeps no training curve.",
            png=plots.training_loss(loss["step"].to_list(), loss["loss"].to_list()) if len(loss) else None,
        ),
        _relations(rows["relations"]),
        *([_retention(rows["retention"])] if rows["retention"] else []),
        *([_divergence(rows["kl"])] if rows["kl"] else []),
    ]


def _locality(rows: PlotRows) -> Picture:
    """Against similarity where the neighbors were chosen by it, else how it spreads over the edits."""
    similar = [row for row in rows if row["similarity"] is not None]
    if similar:
        title, png = "Locality by similarity of neighbors", plots.locality_by_similarity(similar)
        caption = (
            "Each point is one edit: how many of its locality prompts still have the right answer, teacher-forced."
        )
    elif rows:
        title, png = "Locality, edit by edit", plots.locality_spread(rows)
        caption = (
            "How many edits kept which share of their locality prompts, teacher-forced. Neighbors were not chosen by "
            "similarity."
        )
    else:
        return Picture(name="locality", title="Locality", caption=f"Locality was {ABSENT}.", png=None)
    return Picture(name="locality", title=title, caption=caption, png=png)


def _retention(rows: PlotRows) -> Picture:
    return Picture(
        name="retention",
        title="Retention: while more edits are made",
        caption="Of all edits so far at each checkpoint; dotted: of the newest only.",
        png=plots.retention(rows),
    )


def _divergence(rows: PlotRows) -> Picture:
    all_edits = [row for row in rows if row["group"] == "all so far"]
    line = Series(
        label="KL",
        edits=[row["edits"] for row in all_edits],
        values=[row["mean"] for row in all_edits],
        ci95=[row["ci95"] for row in all_edits],
    )
    panel = Panel(title="KL to the unedited model, nats", series=[line], percent=False)
    return Picture(
        name="kl_by_edits",
        title="Distance from the unedited model",
        caption="Of the next word after the locality prompts of all edits so far, with 95 % intervals.",
        png=panels([panel], columns=1, width=WIDTH, height=2.4),
    )


def _relations(rows: PlotRows) -> Picture:
    count = min(len(rows), plots.RELATIONS)
    caption = "Teacher-forced, after the edit; the number of edits is in brackets."
    if count < len(rows):
        caption += f" The {count} relations with most edits, of {len(rows)}."
    return Picture(
        name="relations",
        title="By relation",
        caption=caption if rows else "The facts name no relations.",
        png=plots.success_by_relation(rows) if rows else None,
    )


def ability_pictures(metrics: Mapping[str, Any], edits: int) -> list[Picture]:
    """Bars before and after, and curves against the number of edits where there are checkpoints.

    `edits` is how many the whole run makes.
    """
    headlines = [line for line in lines(metrics.get("tasks", {})) if line.main]
    bars = Picture(
        name="abilities",
        title="Abilities before and after",
        caption="With 95 % intervals over the examples; dotted: what guessing gives." if headlines else f"{ABSENT}.",
        png=ability_bars(headlines) if headlines else None,
    )
    sessions = {int(number): tasks for number, tasks in metrics.get("sessions", {}).items()}
    return [bars, _curves(headlines, sessions, edits)] if sessions and headlines else [bars]


def _curves(headlines: Sequence[Line], sessions: Mapping[int, Mapping[str, Any]], edits: int) -> Picture:
    measured = {number: {line.task: line for line in lines(sessions[number]) if line.main} for number in sessions}
    measured[edits] = {line.task: line for line in headlines}
    ability_panels = [_ability_panel(line, dict(sorted(measured.items()))) for line in headlines]
    return Picture(
        name="abilities_by_edits",
        title="Abilities while more edits are made",
        caption="At 0: the unedited model. With 95 % intervals over the examples; dotted: what guessing gives.",
        png=panels(ability_panels, columns=2, width=_CURVES_WIDTH, height=_CURVES_HEIGHT),
    )


def _ability_panel(line: Line, measured: Mapping[int, Mapping[str, Line]]) -> Panel:
    after = {number: tasks[line.task].after for number, tasks in measured.items() if line.task in tasks}
    points = {0: line.before, **{number: value for number, value in after.items() if value is not None}}
    return Panel(
        title=line.task.replace("_", " "),
        series=[
            Series(
                label="measured",
                edits=list(points),
                values=[value for value, _ in points.values()],
                ci95=[width for _, width in points.values()],
            )
        ],
        percent=line.unit == PERCENT,
        levels={"guessing": line.chance} if line.chance else {},
    )


def weight_pictures(weights: pl.DataFrame, maps: Mapping[str, Floats]) -> list[Picture]:
    """Curves over the sessions where there are several, and heat maps where a matrix has changed."""
    weight_figures = []
    total = pl.DataFrame() if weights.is_empty() else weights.filter(pl.col("path") == TOTAL).sort("edits")
    if len(total) > 1:
        caption = "Of all changed weights together. Dotted: the largest singular value of the unedited ones."
        weight_figures.append(
            Picture(
                name="weights_by_edits",
                title="Weights while more edits are made",
                caption=caption,
                png=panels(_weight_panels(total), columns=2, width=_CURVES_WIDTH, height=_CURVES_HEIGHT),
            )
        )
    if maps:
        caption = "Each block is the mean of its entries after the last edit; the most changed weights."
        weight_figures.append(
            Picture(name="weight_maps", title="Where the weights change", caption=caption, png=change_maps(maps))
        )
    return weight_figures


def _weight_panels(total: pl.DataFrame) -> Sequence[Panel]:
    norms = [
        _weight_panel(total, column, title, {"unedited": total["base_largest"][-1]} if column == "largest" else {})
        for column, title in _WEIGHT_CURVES.items()
    ]
    return [*norms, *(_weight_panel(total, column, title, {}) for column, title in shares(total).items())]


def _weight_panel(total: pl.DataFrame, column: str, title: str, levels: Mapping[str, float]) -> Panel:
    line = Series(label="measured", edits=total["edits"].to_list(), values=total[column].to_list())
    return Panel(title=title, series=[line], percent=column.startswith(ABOVE), levels=levels)
