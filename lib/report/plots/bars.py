"""General abilities before and after the edit as bars, as a PNG."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.metrics.abilities import PERCENT, Line
from lib.report.plots.style import AFTER, BEFORE, INK, SOFT, WIDTH, grid, plot_style, png

_THICKNESS = 0.36
_INCHES_A_TASK = 0.42
_ROOM = 1.22
"""Of a scale beyond its largest value, for the numbers at the ends of the bars."""


def bars(lines: Sequence[Line]) -> bytes:
    """Two bars a task, with intervals; tasks of each unit on a scale of their own, percent first."""
    units = sorted({line.unit for line in lines}, key=lambda unit: (unit != PERCENT, unit))
    groups = [[line for line in lines if line.unit == unit] for unit in units]
    heights = [_INCHES_A_TASK * len(group) + 0.35 for group in groups]
    with plot_style(9.5):
        figure, axes = grid(len(groups), 1, WIDTH, sum(heights) + 0.45, height_ratios=heights)
        for unit, group, unit_axes in zip(units, groups, axes, strict=True):
            _draw(unit_axes, group, unit)
        handles: list[Patch | Line2D] = [Patch(color=BEFORE, label="before"), Patch(color=AFTER, label="after")]
        if any(line.chance for line in lines):
            handles.append(Line2D([], [], color=SOFT, linestyle=":", label="guessing"))
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
        return png(figure)


def _draw(axes: Axes, group: Sequence[Line], unit: str) -> None:
    percent = unit == PERCENT
    tops = [value + width for line in group for value, width in (line.before, line.after or line.before)]
    limit = 100 if percent else max(max(tops), 1e-9)
    for index, line in enumerate(group):
        for measured, color, side in ((line.before, BEFORE, -0.5), (line.after, AFTER, 0.5)):
            if measured is None:
                continue
            value, width = measured
            position = index + side * _THICKNESS * 1.05
            axes.barh(position, value, _THICKNESS, color=color)
            above = min(width, max(0.0, 100 - value)) if percent else width
            axes.errorbar(value, position, xerr=[[min(width, value)], [above]], ecolor=INK, elinewidth=0.9, capsize=2)
            label = f"{value:.0f} %" if percent else f"{value:.3g}"
            axes.text(value + above + limit / 60, position, label, va="center", fontsize=8, color=SOFT)
        if line.chance:
            axes.vlines(line.chance, index - 0.42, index + 0.42, color=SOFT, linestyle=":", linewidth=1.3)
    axes.set_yticks(range(len(group)), [line.task.replace("_", " ") for line in group])
    axes.set_ylim(len(group) - 0.5, -0.5)
    axes.set_xlim(0, limit * _ROOM)
    if percent:
        axes.set_xticks(range(0, 101, 20))
        axes.xaxis.set_major_formatter("{x:.0f} %")
    axes.grid(axis="x")
