"""Small panels of lines side by side: values against the number of edits, of steps, or of facts in a pool.

Each line has its name at its end, so that no colour has to be matched with a legend; many lines get panels of their
own with the others in grey behind them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lib.report.plots.axes import axes
from lib.report.plots.scales import Scale, value_scale
from lib.report.plots.svg import FONT, WIDTH, Drawing, dots, drawing, line, path, text, text_width
from lib.report.wording import short, tick

_LEFT, _RIGHT, _TOP, _BOTTOM = 42.0, 10.0, 22.0, 20.0
_APART = 12.0
"""Between two panels of a row: room for half of the last label of one and half of the first of the next."""
_TITLE = 16.0
"""Of a row of panels."""
_LOW = 90.0
"""A coordinate system that is lower than this has fewer ticks."""
_POINTS_IN_WORDS = 8
"""A line of more points is said by its first and last, and its least and most."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: what was measured after how many edits."""

    label: str
    """The name at its end; empty for a line that needs none."""
    edits: Sequence[float]
    values: Sequence[float]
    ci95: Sequence[float] | None = None
    """Half the widths of the intervals."""
    role: str = "after"
    """context: grey, behind the others, and not said in words."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One coordinate system."""

    title: str
    series: Sequence[Series]
    percent: bool
    levels: Mapping[str, float] = field(default_factory=dict)
    """Dotted horizontal lines by their label, such as the value of guessing."""
    top: float = 100.0
    """The end of a vertical axis of percent."""
    is_wide: bool = False
    """Whether the horizontal axis is logarithmic."""


def panels(
    contents: Sequence[Panel], columns: int, x_label: str = "edits", width: float = WIDTH, height: float = 120.0
) -> Drawing:
    """The panels row by row, each `height` units high, all together `width` units wide."""
    columns = min(columns, len(contents))
    rows, panel_width = math.ceil(len(contents) / columns), width / columns
    parts = []
    for index, panel in enumerate(contents):
        row, column = divmod(index, columns)
        box = Box(x=column * panel_width, y=row * height, width=panel_width, height=height)
        parts += _panel(panel, box, x_label if index + columns >= len(contents) else "")
    return drawing(width, rows * height + FONT + 4, parts, " ".join(_in_words(panel, x_label) for panel in contents))


def panel_rows(
    rows: Mapping[str, Sequence[Panel]], x_label: str = "edits", panel_width: float = 100.0, height: float = 90.0
) -> Drawing:
    """Rows of panels, each row under its name: its panels have the same values, of which the first tells the scale."""
    parts, words, y = [], [], 0.0
    for number, (name, contents) in enumerate(rows.items()):
        parts.append(text(name, 0, y + 8, role="title"))
        y += _TITLE
        label = x_label if number == len(rows) - 1 else ""
        for column, panel in enumerate(contents):
            x, left = (0.0, _LEFT) if column == 0 else (_LEFT + column * (panel_width + _APART), 0.0)
            parts += _panel(panel, Box(x=x, y=y, width=left + panel_width, height=height, left=left), label)
        y += height + 8
        words.append(f"{name}. {' '.join(_in_words(panel, x_label) for panel in contents)}")
    columns = max(map(len, rows.values()))
    return drawing(_LEFT + columns * (panel_width + _APART), y + FONT, parts, " ".join(words))


@dataclass(frozen=True, kw_only=True)
class Box:
    """The room of a panel."""

    x: float
    y: float
    width: float
    height: float
    left: float = _LEFT
    """Of it for the labels of the vertical axis; 0: without labels."""


def _panel(panel: Panel, box: Box, x_label: str) -> list[str]:
    named = [series.label for series in panel.series if series.label]
    room, left = max(map(text_width, named), default=0.0), box.x + box.left
    x_scale = _x_scale(panel, left, box.x + box.width - _RIGHT - room)
    y_scale = value_scale(list(_y_values(panel)), box.y + box.height - _BOTTOM, box.y + _TOP, panel.percent, panel.top)
    x_ticks = x_scale.ticks(4 if x_scale.end - x_scale.start > 140 else 3)
    y_ticks = y_scale.ticks(3 if abs(y_scale.end - y_scale.start) < _LOW else 5)
    grid = axes(x_scale, y_scale, x_ticks, y_ticks, y_percent=panel.percent, y_labels=box.left > 0)
    parts = [text(panel.title, left, box.y + 9), *grid]
    if x_label:
        parts.append(text(x_label, (x_scale.start + x_scale.end) / 2, box.y + box.height + 9, "middle", "soft"))
    for label, value in panel.levels.items():
        parts.append(line(x_scale.start, y_scale(value), x_scale.end, y_scale(value), "edge dotted"))
        parts.append(text(label, x_scale.end, y_scale(value) - 8, "end", "soft"))
    for series in sorted(panel.series, key=lambda series: series.role != "context"):
        parts += _line(series, x_scale, y_scale)
    return [*parts, *_names(panel, x_scale, y_scale)]


def _x_scale(panel: Panel, start: float, end: float) -> Scale:
    values = [value for series in panel.series for value in series.edits]
    low, high = (min(values), max(values)) if panel.is_wide else (min(0.0, *values), max(values))
    return Scale(low=low, high=high if high > low else low + 1, start=start, end=end, is_log=panel.is_wide)


def _y_values(panel: Panel) -> Iterator[float]:
    yield from panel.levels.values()
    for series in panel.series:
        widths = series.ci95 or [0.0] * len(series.values)
        for value, width in zip(series.values, widths, strict=True):
            yield value
            yield value + width
            yield value - width if value > width else value


def _line(series: Series, x_scale: Scale, y_scale: Scale) -> list[str]:
    points = [(x_scale(x), y_scale(value)) for x, value in zip(series.edits, series.values, strict=True)]
    parts = [path(points, series.role)]
    if series.role == "context":
        return parts
    for x, value, width in zip(series.edits, series.values, series.ci95 or [0.0] * len(points), strict=True):
        if width:
            parts.append(
                line(x_scale(x), y_scale(value - width), x_scale(x), y_scale(value + width), f"{series.role} thin")
            )
    return [*parts, dots(points, series.role)] if len(points) <= 30 else parts


def _names(panel: Panel, x_scale: Scale, y_scale: Scale) -> Iterator[str]:
    """The lines' names at their ends, moved apart where they would cover each other."""
    named = [series for series in panel.series if series.label]
    wanted_y = sorted((y_scale(series.values[-1]), series.label) for series in named)
    lowest, y = y_scale.start, -math.inf
    for number, (end, label) in enumerate(wanted_y):
        left = len(wanted_y) - number - 1
        y = max(y + FONT, min(end, lowest - FONT * left))
        yield text(label, x_scale.end + 7, y)


def _in_words(panel: Panel, x_label: str) -> str:
    lines = [_series_in_words(series, panel.percent) for series in panel.series if series.role != "context"]
    levels = [f"{label} {short(value)}" for label, value in panel.levels.items()]
    return f"{panel.title}, by {x_label}: {'; '.join([*lines, *levels])}."


def _series_in_words(series: Series, percent: bool) -> str:
    points = list(zip(series.edits, series.values, strict=True))
    extremes = (
        ""
        if len(points) <= _POINTS_IN_WORDS
        else f", between {short(min(series.values))} and {short(max(series.values))}"
    )
    said_points = points if len(points) <= _POINTS_IN_WORDS else [points[0], points[-1]]
    unit = " %" if percent else ""
    values = ", ".join(
        f"{tick(x)}: {value:.1f}{unit}" if percent else f"{tick(x)}: {short(value)}" for x, value in said_points
    )
    return f"{series.label} {values}{extremes}".strip()
