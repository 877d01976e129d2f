"""The report's pictures of the edits themselves: the headline, the training loss, locality, relations, retention."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lib.metrics.headline import COLUMNS, TEACHER_FORCED, Column
from lib.metrics.scores import KINDS, WHENS
from lib.report.plots.axes import axes
from lib.report.plots.bars import Bar, Block, Group, bars
from lib.report.plots.panels import Panel, Series, panels
from lib.report.plots.scales import Scale, value_scale
from lib.report.plots.svg import WIDTH, Drawing, dots, drawing, legend, path, rect, text
from lib.report.wording import short

PlotRow = Mapping[str, Any]
RELATIONS = 20
"""At most so many relations are drawn: those with most edits."""
BEFORE_AFTER = (("before", "before"), ("after", "after"))
_KIND_ROLES = (("efficacy", "after"), ("generalization", "second"), ("locality", "third"))
_ALONE = {"oldest": "before", "newest": "before dotted"}
"""Groups of retention.curve that stand behind all edits, with their lines' roles."""
_BINS = 6
_LEFT, _TOP, _BOTTOM = 46.0, 24.0, 36.0


def scores(rows: Sequence[PlotRow]) -> Drawing:
    """The headline's percentages before and after, 95 % intervals after; plot_rows.score_rows."""
    measured = {(row["metric"], row["when"]): Bar(value=row["value"], ci95=row["ci95"]) for row in rows}
    titles = (("left to itself, the model writes", False), ("teacher-forced: the answer is read out to it", True))
    blocks = [
        Block(
            title=title, is_percent=True,
            groups=[_score_group(column, measured) for column in COLUMNS
                    if column.unit == "percent" and (column in TEACHER_FORCED) == forced],
        )
        for title, forced in titles
    ]  # fmt: skip
    return bars(blocks, BEFORE_AFTER)


def _score_group(column: Column, measured: Mapping[tuple[str, str], Bar]) -> Group:
    """A measure of the edited model alone has one bar."""
    values = [measured.get((column.title, when), Bar(value=None)) for when in WHENS]
    label = column.title.removeprefix("teacher-forced ")
    return Group(label=label, bars=values if column.has_before else [None, values[1]])


def training_loss(steps: Sequence[int], losses: Sequence[float]) -> Drawing:
    """The loss of every optimiser step, and its running mean over a twentieth of the steps."""
    window = max(1, len(losses) // 20)
    means = np.convolve(losses, np.full(window, 1 / window), mode="valid").tolist()
    middle = steps[window // 2 : window // 2 + len(means)]
    x_scale = Scale(low=min(0, *steps), high=max(*steps, 1), start=_LEFT, end=WIDTH - 8)
    y_scale = value_scale([0.0, *losses], 170 - _BOTTOM, _TOP)
    y_scale = Scale(low=0, high=y_scale.high, start=y_scale.start, end=y_scale.end)
    names = [("each step", "before"), (f"mean of {window} steps", "after")]
    curves = [
        path([(x_scale(x), y_scale(y)) for x, y in zip(xs, ys, strict=True)], role)
        for xs, ys, role in ((steps, losses, "before thin"), (middle, means, "after"))
    ]
    unit = text("nats a token", WIDTH, 8, "end", "soft")
    parts = [legend(names, _LEFT, 8), unit, *_axes(x_scale, y_scale, "optimiser step"), *curves]
    alt = (
        f"Loss in nats a token: {short(losses[0])} at step {steps[0]}, {short(losses[-1])} at step {steps[-1]:,}; the "
        f"mean of the last {window} is {short(means[-1])}, the lowest of a step {short(min(losses))}."
    )
    return drawing(WIDTH, 170, parts, alt)


def locality_by_similarity(rows: Sequence[PlotRow]) -> Drawing:
    """Each edit's locality against the mean similarity of its training neighbors, with the means of equal parts.

    `rows` are plot_data.locality_rows with a similarity.
    """
    ordered = sorted(rows, key=lambda row: float(row["similarity"]))
    similarity = np.array([row["similarity"] for row in ordered])
    locality = np.array([row["after"] for row in ordered])
    parts = np.array_split(np.arange(len(ordered)), min(_BINS, len(ordered)))
    means = [(float(similarity[part].mean()), float(locality[part].mean())) for part in parts]
    low, high = float(similarity.min()), float(similarity.max())
    x_scale = Scale(low=low, high=high if high > low else low + 1, start=_LEFT, end=WIDTH - 8)
    y_scale = value_scale([], 200 - _BOTTOM, _TOP, is_percent=True)
    points = [(x_scale(x), y_scale(y)) for x, y in zip(similarity.tolist(), locality.tolist(), strict=True)]
    line_points = [(x_scale(x), y_scale(y)) for x, y in means]
    names = [("one edit", "after"), (f"mean of each {len(parts)}th part", "third")]
    body = [dots(points, "after faint"), path(line_points, "third"), dots(line_points, "third")]
    in_words = ", ".join(f"{y:.1f} % at similarity {x:.2f}" for x, y in means)
    alt = (
        f"Locality of {len(rows):,} edits by the mean similarity of their neighbors; means of equal parts: {in_words}."
    )
    grid = _axes(x_scale, y_scale, "mean similarity of the edit's training neighbors (cosine)", percent=True)
    return drawing(WIDTH, 200, [legend(names, _LEFT, 8), *grid, *body], alt)


def locality_spread(rows: Sequence[PlotRow]) -> Drawing:
    """How many edits kept which share of their locality prompts, before and after; plot_data.locality_rows."""
    edges = np.linspace(-5, 105, 12)
    x_scale = Scale(low=-6, high=106, start=_LEFT, end=WIDTH - 8)
    y_scale = value_scale([], 180 - _BOTTOM, _TOP, is_percent=True)
    body, words = [], []
    for when, side in zip(WHENS, (-4.2, 0.2), strict=True):
        values = [row[when] for row in rows if row[when] is not None]
        shares = (np.histogram(values, edges)[0] / max(1, len(values)) * 100).tolist()
        for middle, share in zip((edges[:-1] + 5).tolist(), shares, strict=True):
            x = x_scale(middle + side)
            body.append(rect(x, y_scale(share), x_scale(middle + side + 4) - x, y_scale.start - y_scale(share), when))
        shares_in_words = ", ".join(
            f"{share:.0f} % of the edits near {middle:.0f} %"
            for middle, share in zip(range(0, 101, 10), shares, strict=True)
            if share
        )
        words.append(f"{when}: {shares_in_words or 'nothing'}")
    grid = _axes(x_scale, y_scale, "locality of an edit", percent=True, x_ticks=range(0, 101, 20), x_percent=True)
    alt = f"Locality, share of edits in steps of ten percent. {'; '.join(words)}."
    return drawing(WIDTH, 180, [legend(list(BEFORE_AFTER), _LEFT, 8), *grid, *body], alt)


def success_by_relation(rows: Sequence[PlotRow]) -> Drawing:
    """Efficacy, generalization and locality after the edit for each relation; plot_data.relation_rows."""
    groups = [
        Group(label=f"{_in_words(row['relation'])} ({row['n']})", bars=[Bar(value=row[kind]) for kind in KINDS])
        for row in rows[:RELATIONS]
    ]
    return bars([Block(title="", groups=groups, is_percent=True)], _KIND_ROLES)


def retention(rows: Sequence[PlotRow]) -> Drawing:
    """Score and its parts over the number of edits made so far, of all edits so far; retention.curve.

    Behind efficacy, in grey, that of the oldest and of the newest edits alone.
    """
    contents = []
    for kind, role in (("score", "ink"), *_KIND_ROLES):
        of_group = {group: [row for row in rows if row["group"] == group and row["kind"] == kind]
                    for group in ("all so far", *_ALONE)}  # fmt: skip
        alone = {group: of_group[group] for group in _ALONE if kind == "efficacy" and of_group[group]}
        series = [_series("all" if alone else "", of_group["all so far"], role)]
        series += [_series(group, group_rows, _ALONE[group]) for group, group_rows in alone.items()]
        contents.append(Panel(title=kind, series=series, percent=True))
    return panels(contents, columns=2, x_label="edits so far")


def _series(label: str, rows: Sequence[PlotRow], role: str) -> Series:
    return Series(label=label, edits=[row["edits"] for row in rows], values=[row["mean"] for row in rows], role=role)


def _axes(
    x_scale: Scale, y_scale: Scale, x_label: str, percent: bool = False, x_ticks: Sequence[float] = (),
    x_percent: bool = False,
) -> list[str]:  # fmt: skip
    """The grid with a name under it."""
    x_ticks = x_ticks or x_scale.ticks()
    grid = axes(x_scale, y_scale, x_ticks, y_scale.ticks(), x_percent=x_percent, y_percent=percent)
    return [*grid, text(x_label, (x_scale.start + x_scale.end) / 2, y_scale.start + 27, "middle", "soft")]


def _in_words(relation: str) -> str:
    return relation.replace("_", " ")
