"""Small panels of values against the number of edits, side by side, as one PNG: abilities, weights, studies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lib.report.plots.style import AFTER, INK, SOFT, grid, plot_style, png

_DECADES = 1.5
"""A panel whose values span more powers of ten than this is drawn on a logarithmic scale."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: what was measured after how many edits."""

    label: str
    edits: Sequence[int]
    values: Sequence[float]
    ci95: Sequence[float] | None = None
    """Half the widths of the intervals."""
    color: str = AFTER
    width: float = 1.3
    """Of the line, in points."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One coordinate system."""

    title: str
    series: Sequence[Series]
    percent: bool
    levels: Mapping[str, float] = field(default_factory=dict)
    """Dotted horizontal lines by their label, such as the value of guessing."""


def panels(contents: Sequence[Panel], columns: int, width: float, height: float) -> bytes:
    """The panels row by row, each `height` inches high, all together `width` inches wide.

    One legend stands above all where a panel has more than one line.
    """
    rows = math.ceil(len(contents) / columns)
    labels = {series.label: series for panel in contents for series in panel.series}
    legend = len(labels) > 1
    with plot_style(8.5):
        figure, axes = grid(rows, columns, width, height * rows + (0.5 if legend else 0))
        for panel, panel_axes in zip(contents, axes, strict=False):
            _draw(panel_axes, panel)
        for unused in axes[len(contents) :]:
            unused.set_axis_off()
        for lowest in axes[max(0, len(contents) - columns) : len(contents)]:
            lowest.set_xlabel("edits")
        if legend:
            lines = [
                Line2D([], [], color=series.color, linewidth=series.width + 0.7, label=series.label)
                for series in labels.values()
            ]
            figure.legend(handles=lines, loc="outside upper center", ncols=min(4, len(lines)))
        return png(figure)


def _draw(axes: Axes, panel: Panel) -> None:
    for line in panel.series:
        axes.plot(
            line.edits, line.values, color=line.color, linewidth=line.width, marker="o", markersize=line.width + 1.2
        )
        if line.ci95 is not None:
            axes.errorbar(line.edits, line.values, line.ci95, fmt="none", ecolor=line.color, elinewidth=0.7, alpha=0.5)
    for label, value in panel.levels.items():
        axes.axhline(value, color=SOFT, linewidth=0.9, linestyle=":")
        axes.annotate(label, (0.99, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=SOFT,
                      fontsize=7)  # fmt: skip
    axes.set_title(panel.title, fontsize=9, color=INK)
    axes.set_yscale(scale(panel))
    if panel.percent:
        axes.yaxis.set_major_formatter("{x:.0f} %")
        axes.set_ylim(-4, 106)
    else:
        axes.yaxis.set_major_formatter("{x:,g}")
    axes.grid(axis="y")


def scale(panel: Panel) -> Literal["linear", "log"]:
    """How a panel's values are drawn: percentages always linearly."""
    values = [value for line in panel.series for value in line.values]
    wide = min(values, default=0) > 0 and max(values) / min(values) > 10**_DECADES
    return "log" if wide and not panel.percent else "linear"
