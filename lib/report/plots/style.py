"""One style for every plot: colours, sizes, and how a figure becomes a PNG."""

import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BEFORE, AFTER, THIRD = "#9aa7b8", "#2563c9", "#e08a1e"
INK, SOFT, _LINE = "#1d2733", "#5a6675", "#e3e8ee"
WIDTH = 4.8
"""Inches; with `_DPI` twice as many pixels as the report shows."""
_DPI = 200
_STYLE = {
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 1.0,
    "legend.handleheight": 1.0,
}


def plot_style(size: float = 10.5) -> Any:
    """The same style whatever the user's own matplotlib settings are, type of `size` points; restored on exit."""
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, "font.size": size})


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty picture of the report's width, `height` inches high."""
    figure, (axes,) = grid(1, 1, WIDTH, height)
    return figure, axes


def grid(rows: int, columns: int, width: float, height: float, **spacing: Any) -> tuple[Figure, list[Axes]]:
    """An empty picture, sizes in inches, with its axes row by row; `spacing` is matplotlib's gridspec_kw."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False, gridspec_kw=spacing).flat)


def png(figure: Figure) -> bytes:
    """The picture without the date and the version that matplotlib writes into it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
