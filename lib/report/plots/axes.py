"""The grid of a picture and the numbers at its ticks."""

from collections.abc import Sequence

from lib.report.plots.scales import Scale
from lib.report.plots.svg import line, text
from lib.report.wording import tick


def tick_label(value: float, is_percent: bool) -> str:
    """The number at a tick."""
    return f"{value:.0f} %" if is_percent else tick(value)


def axes(
    x: Scale, y: Scale, x_ticks: Sequence[float], y_ticks: Sequence[float], *, x_percent: bool = False,
    y_percent: bool = False, y_labels: bool = True,
) -> list[str]:  # fmt: skip
    """Grey lines at the ticks of y, which may have no labels, and labels under those of x."""
    parts = []
    for value in y_ticks:
        parts.append(line(x.start, y(value), x.end, y(value), "grid"))
        if y_labels:
            parts.append(text(tick_label(value, y_percent), x.start - 5, y(value), "end", "soft"))
    below = (text(tick_label(value, x_percent), x(value), y.start + 11, "middle", "soft") for value in x_ticks)
    return [*parts, *below]
