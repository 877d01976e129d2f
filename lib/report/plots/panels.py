"""Small panels of values against the number of edits, side by side, as one PNG: abilities, weights, studies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lib.report.plots.style import AFTER, INK, SOFT, grid, look, png

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
    """Dotted horizontal lines by what they say, such as the value of guessing."""


def panels(shown: Sequence[Panel], columns: int, width: float, height: float) -> bytes:
    """The panels row by row, each `height` inches high, all together `width` inches wide.

    One legend stands above all where a panel has more than one line.
    """
    rows = math.ceil(len(shown) / columns)
    labels = {one.label: one for panel in shown for one in panel.series}
    legend = len(labels) > 1
    with look(8.5):
        figure, axes = grid(rows, columns, width, height * rows + (0.5 if legend else 0))
        for panel, one in zip(shown, axes, strict=False):
            _draw(one, panel)
        for one in axes[len(shown) :]:
            one.set_axis_off()
        for one in axes[max(0, len(shown) - columns) : len(shown)]:
            one.set_xlabel("edits")
        if legend:
            lines = [
                Line2D([], [], color=one.color, linewidth=one.width + 0.7, label=one.label) for one in labels.values()
            ]
            figure.legend(handles=lines, loc="outside upper center", ncols=min(4, len(lines)))
        return png(figure)


def _draw(axes: Axes, panel: Panel) -> None:
    for one in panel.series:
        axes.plot(one.edits, one.values, color=one.color, linewidth=one.width, marker="o", markersize=one.width + 1.2)
        if one.ci95 is not None:
            axes.errorbar(one.edits, one.values, one.ci95, fmt="none", ecolor=one.color, elinewidth=0.7, alpha=0.5)
    for said, value in panel.levels.items():
        axes.axhline(value, color=SOFT, linewidth=0.9, linestyle=":")
        axes.annotate(said, (0.99, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=SOFT,
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
    values = [value for one in panel.series for value in one.values]
    wide = min(values, default=0) > 0 and max(values) / min(values) > 10**_DECADES
    return "log" if wide and not panel.percent else "linear"
