"""The report's plots, each with a title, a caption, and the reason where there is nothing to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib.metrics.abilities import PERCENT, Line, lines
from lib.metrics.bootstrap import Floats
from lib.metrics.weights import ABOVE, TOTAL, shares
from lib.report.plots import edits as plots
from lib.report.plots.bars import Bar, Block, Group, bars
from lib.report.plots.maps import change_maps
from lib.report.plots.panels import Panel, Series, panels
from lib.report.plots.svg import Drawing
from lib.report.wording import ABSENT

PlotRows = Sequence[Mapping[str, Any]]
_WEIGHT_CURVES = {"manhattan": "Manhattan norm", "frobenius": "Frobenius norm", "largest": "largest singular value"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One plot, or why there is none."""

    name: str
    """Of its file, without .svg."""
    title: str
    caption: str
    drawing: Drawing | None


def edit_pictures(rows: Mapping[str, PlotRows], loss: pl.DataFrame) -> list[Picture]:
    """The plots of the edits themselves from the rows of plot_rows by file name, and the training loss by step."""
    return [
        Picture(
            name="scores",
            title="Before and after the edit",
            caption="Percent, with 95 % intervals over edits.",
            drawing=plots.scores(rows["scores"]) if rows["scores"] else None,
        ),
        _locality(rows["locality_by_similarity"]),
        Picture(
            name="training_loss",
            title="Training loss",
            caption="Over the training pairs of all edits." if len(loss) else "This editor keeps no training curve.",
            drawing=plots.training_loss(loss["step"].to_list(), loss["loss"].to_list()) if len(loss) else None,
        ),
        _relations(rows["relations"]),
        *([_retention(rows["retention"])] if rows["retention"] else []),
        *([_divergence(rows["kl"])] if rows["kl"] else []),
    ]


def _locality(rows: PlotRows) -> Picture:
    """Against similarity where the neighbors were chosen by it, else how it spreads over the edits."""
    similar = [row for row in rows if row["similarity"] is not None]
    if similar:
        title, drawing = "Locality by similarity of neighbors", plots.locality_by_similarity(similar)
        caption = (
            "Each point is one edit: how many of its locality prompts still have the right answer, teacher-forced."
        )
    elif rows:
        title, drawing = "Locality, edit by edit", plots.locality_spread(rows)
        caption = (
            "How many edits kept which share of their locality prompts, teacher-forced. Neighbors were not chosen by "
            "similarity."
        )
    else:
        return Picture(name="locality", title="Locality", caption=f"Locality was {ABSENT}.", drawing=None)
    return Picture(name="locality", title=title, caption=caption, drawing=drawing)


def _retention(rows: PlotRows) -> Picture:
    return Picture(
        name="retention",
        title="Retention: while more edits are made",
        caption="Of all edits so far at each checkpoint; grey: of the oldest edits alone; dotted: of the newest.",
        drawing=plots.retention(rows),
    )


def _divergence(rows: PlotRows) -> Picture:
    all_edits = [row for row in rows if row["group"] == "all so far"]
    line = Series(
        label="",
        edits=[row["edits"] for row in all_edits],
        values=[row["mean"] for row in all_edits],
        ci95=[row["ci95"] for row in all_edits],
    )
    panel = Panel(title="KL to the unedited model, nats", series=[line], percent=False)
    return Picture(
        name="kl_by_edits",
        title="Distance from the unedited model",
        caption="Of the next word after the locality prompts of all edits so far, with 95 % intervals.",
        drawing=panels([panel], columns=1, height=170),
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
        drawing=plots.success_by_relation(rows) if rows else None,
    )


def ability_pictures(metrics: Mapping[str, Any], edits: int) -> list[Picture]:
    """Bars before and after, and curves against the number of edits where there are checkpoints.

    `edits` is how many the whole run makes.
    """
    headlines = [line for line in lines(metrics.get("tasks", {})) if line.main]
    if not headlines:
        return []
    before_after = Picture(
        name="abilities",
        title="Abilities before and after",
        caption="With 95 % intervals over the examples; dotted: what guessing gives.",
        drawing=bars(_ability_blocks(headlines), plots.BEFORE_AFTER, level="guessing"),
    )
    sessions = {int(number): tasks for number, tasks in metrics.get("sessions", {}).items()}
    return [before_after, _curves(headlines, sessions, edits)] if sessions else [before_after]


def _ability_blocks(headlines: Sequence[Line]) -> list[Block]:
    """Tasks of each unit on a scale of their own, percent first."""
    units = sorted({line.unit for line in headlines}, key=lambda unit: (unit != PERCENT, unit))
    return [
        Block(
            title=unit if len(units) > 1 else "",
            groups=[_ability_group(line) for line in headlines if line.unit == unit],
            is_percent=unit == PERCENT,
        )
        for unit in units
    ]


def _ability_group(line: Line) -> Group:
    measured = (Bar(value=None) if value is None else Bar(value=value[0], ci95=value[1])
                for value in (line.before, line.after))  # fmt: skip
    return Group(label=line.task.replace("_", " "), bars=list(measured), level=line.chance)


def _curves(headlines: Sequence[Line], sessions: Mapping[int, Mapping[str, Any]], edits: int) -> Picture:
    measured = {number: {line.task: line for line in lines(sessions[number]) if line.main} for number in sessions}
    measured[edits] = {line.task: line for line in headlines}
    ability_panels = [_ability_panel(line, dict(sorted(measured.items()))) for line in headlines]
    return Picture(
        name="abilities_by_edits",
        title="Abilities while more edits are made",
        caption="At 0: the unedited model. With 95 % intervals over the examples; dotted: what guessing gives.",
        drawing=panels(ability_panels, columns=2),
    )


def _ability_panel(line: Line, measured: Mapping[int, Mapping[str, Line]]) -> Panel:
    after = {number: tasks[line.task].after for number, tasks in measured.items() if line.task in tasks}
    points = {0: line.before, **{number: value for number, value in after.items() if value is not None}}
    return Panel(
        title=line.task.replace("_", " "),
        series=[
            Series(
                label="",
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
                drawing=panels(_weight_panels(total), columns=2),
            )
        )
    if maps:
        caption = "Each block is the mean of its entries after the last edit; the most changed weights."
        weight_figures.append(
            Picture(name="weight_maps", title="Where the weights change", caption=caption, drawing=change_maps(maps))
        )
    return weight_figures


def _weight_panels(total: pl.DataFrame) -> Sequence[Panel]:
    norms = [
        _weight_panel(total, column, title, {"unedited": total["base_largest"][-1]} if column == "largest" else {})
        for column, title in _WEIGHT_CURVES.items()
    ]
    return [*norms, *(_weight_panel(total, column, title, {}) for column, title in shares(total).items())]


def _weight_panel(total: pl.DataFrame, column: str, title: str, levels: Mapping[str, float]) -> Panel:
    line = Series(label="", edits=total["edits"].to_list(), values=total[column].to_list())
    return Panel(title=title, series=[line], percent=column.startswith(ABOVE), levels=levels)
