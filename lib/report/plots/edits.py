"""The report's pictures, as PNG bytes: the same input gives the same bytes.

Drawn small with large type, so that they can be read at the width of a phone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from lib.metrics.headline import COLUMNS, WRITTEN
from lib.metrics.scores import KINDS, WHENS
from lib.report.plots.style import AFTER, BEFORE, INK, SOFT, THIRD, canvas, plot_style, png

PlotRow = Mapping[str, Any]
RELATIONS = 20
"""At most so many relations are drawn: those with most edits."""
_COLORS = {"before": BEFORE, "after": AFTER, "efficacy": AFTER, "generalization": "#7fb2f0", "locality": THIRD}
_BINS = 6
_LONGEST_LABEL = 22


def scores(rows: Sequence[PlotRow]) -> bytes:
    """The headline's percentages before and after, 95 % intervals after; plot_rows.score_rows.

    What the model writes comes first, the teacher-forced measures behind the dotted line.
    """
    with plot_style():
        figure, axes = canvas(4.2)
        names = [column.title for column in COLUMNS if column.unit == "percent"]
        for when, side in zip(WHENS, (-0.2, 0.2), strict=True):
            bars = [row for row in rows if row["when"] == when]
            positions = [names.index(row["metric"]) + side for row in bars]
            values = [row["value"] for row in bars]
            below = [min(row["ci95"] or 0, row["value"]) for row in bars]
            above = [min(row["ci95"] or 0, 100 - row["value"]) for row in bars]
            axes.barh(positions, values, 0.37, color=_COLORS[when], label=when)
            if when == "after":
                axes.errorbar(values, positions, xerr=(below, above), fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
            for position, value, width in zip(positions, values, above, strict=True):
                axes.text(value + width + 1.5, position, f"{value:.0f}", va="center", fontsize=9, color=SOFT)
        for name in set(names) - {row["metric"] for row in rows}:
            axes.text(1.5, names.index(name), "not measured", va="center", fontsize=9, color=SOFT)
        axes.set_yticks(range(len(names)), names)
        axes.axhline(sum(column.unit == "percent" for column in WRITTEN) - 0.5, color=SOFT, linewidth=1, linestyle=":")
        axes.set_ylim(len(names) - 0.5, -0.5)
        _percent(axes, "x")
        axes.set_xlim(0, 112)
        _legend_above(axes, 2)
        return png(figure)


def training_loss(steps: Sequence[int], losses: Sequence[float]) -> bytes:
    """The loss of every optimiser step, and its running mean over a twentieth of the steps."""
    with plot_style():
        figure, axes = canvas(3.0)
        window = max(1, len(losses) // 20)
        means = np.convolve(losses, np.full(window, 1 / window), mode="valid")
        axes.plot(steps, losses, color=BEFORE, linewidth=0.8, alpha=0.7, label="each step")
        middle = steps[window // 2 : window // 2 + len(means)]
        axes.plot(middle, means, color=AFTER, linewidth=2, label=f"mean of {window} steps")
        axes.set(xlabel="optimiser step", ylabel="loss, nats a token")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        _legend_above(axes, 2)
        return png(figure)


def locality_by_similarity(rows: Sequence[PlotRow]) -> bytes:
    """Each edit's locality against the mean similarity of its training neighbors, with the means of equal parts.

    `rows` are plot_data.locality_rows with a similarity.
    """
    ordered = sorted(rows, key=lambda row: float(row["similarity"]))
    similarity = np.array([row["similarity"] for row in ordered])
    locality = np.array([row["after"] for row in ordered])
    parts = np.array_split(np.arange(len(ordered)), min(_BINS, len(ordered)))
    with plot_style():
        figure, axes = canvas(3.3)
        axes.scatter(similarity, locality, s=16, color=AFTER, alpha=0.35, linewidths=0, label="one edit")
        means = [similarity[part].mean() for part in parts], [locality[part].mean() for part in parts]
        axes.plot(*means, color=THIRD, marker="o", linewidth=2, label=f"mean of each {len(parts)}th part of the edits")
        axes.set(xlabel="mean similarity of the edit's training neighbors (cosine)", ylabel="locality after")
        _percent(axes, "y")
        axes.set_ylim(-4, 106)
        _legend_above(axes, 2)
        return png(figure)


def locality_spread(rows: Sequence[PlotRow]) -> bytes:
    """How many edits kept which share of their locality prompts, before and after; plot_data.locality_rows."""
    edges = np.linspace(-5, 105, 12)
    with plot_style():
        figure, axes = canvas(3.0)
        for when, side in zip(WHENS, (-2.1, 2.1), strict=True):
            values = [row[when] for row in rows if row[when] is not None]
            shares = np.histogram(values, edges)[0] / max(1, len(values)) * 100
            axes.bar(edges[:-1] + 5 + side, shares, 3.9, color=_COLORS[when], label=when)
        axes.set(xlabel="locality of an edit", ylabel="share of edits")
        axes.set_xticks(range(0, 101, 20))
        _percent(axes, "y")
        axes.xaxis.set_major_formatter("{x:.0f} %")
        _legend_above(axes, 2)
        return png(figure)


def success_by_relation(rows: Sequence[PlotRow]) -> bytes:
    """Efficacy, generalization and locality after the edit for each relation; plot_data.relation_rows."""
    relations = list(rows[:RELATIONS])
    kinds = [kind for kind in KINDS if any(row[kind] is not None for row in relations)]
    thickness = 0.78 / max(1, len(kinds))
    with plot_style():
        figure, axes = canvas(0.9 + 0.36 * len(relations))
        for number, kind in enumerate(kinds):
            positions = np.arange(len(relations)) + (number - (len(kinds) - 1) / 2) * thickness
            axes.barh(
                positions, [row[kind] or 0 for row in relations], thickness * 0.9, color=_COLORS[kind], label=kind
            )
            for position in (position for position, row in zip(positions, relations, strict=True) if not row[kind]):
                label = "not measured" if relations[round(position)][kind] is None else "0 %"
                axes.text(1, position, label, va="center", fontsize=7, color=SOFT)
        axes.set_yticks(range(len(relations)), [f"{_short(row['relation'])} ({row['n']})" for row in relations])
        axes.invert_yaxis()
        axes.set_ylim(len(relations) - 0.4, -0.6)
        _percent(axes, "x")
        axes.set_xlim(0, 102)
        _legend_above(axes, 3)
        return png(figure)


def retention(rows: Sequence[PlotRow]) -> bytes:
    """Score and its parts over the number of edits made so far, of all edits so far; retention.curve."""
    all_edits = [row for row in rows if row["group"] == "all so far"]
    newest = [row for row in rows if row["group"] == "newest" and row["kind"] == "efficacy"]
    with plot_style():
        figure, axes = canvas(3.4)
        for kind in ("score", *KINDS):
            line = [row for row in all_edits if row["kind"] == kind]
            numbers, means = [row["edits"] for row in line], [row["mean"] for row in line]
            axes.plot(numbers, means, color=_COLORS.get(kind, INK), marker="o", markersize=4, label=kind)
        numbers, means = [row["edits"] for row in newest], [row["mean"] for row in newest]
        axes.plot(numbers, means, color=AFTER, linestyle=":", label="efficacy, newest")
        axes.set(xlabel="edits so far")
        _percent(axes, "y")
        axes.set_ylim(-4, 106)
        _legend_above(axes, 3)
        return png(figure)


def _percent(axes: Axes, side: Literal["x", "y"]) -> None:
    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_major_formatter("{x:.0f} %")
    axes.grid(axis=side)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, columnspacing=1.4)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…"
