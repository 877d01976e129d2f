"""Where in its matrices an edit falls, as a PNG: RECT's figure 5."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm

from lib.metrics.bootstrap import Floats
from lib.report.plots.style import INK, WIDTH, grid, plot_style, png

_DECADES = 4
"""The scale begins at the smallest block, but no more than so many powers of ten below the largest."""
_COLUMNS = 2
_INCHES = 2.2
_COLORS = "YlGnBu"


def change_maps(maps: Mapping[str, Floats]) -> bytes:
    """The mean |dW| of blocks of matrices by path, outputs downwards and inputs to the right; unchanged blocks white.

    One logarithmic scale for all. Raises ValueError where there is no map.
    """
    if not maps:
        raise ValueError("wanted at least one heat map to draw; found none")
    columns = min(_COLUMNS, len(maps))
    rows = math.ceil(len(maps) / columns)
    changes = [value for blocks in maps.values() for value in blocks.ravel().tolist() if value > 0]
    ends = _ends(changes) if changes else None
    with plot_style(9):
        figure, axes = grid(rows, columns, WIDTH, _INCHES * rows + 0.3)
        norm = LogNorm(*ends, clip=True) if ends else None
        for map_axes, (path, blocks) in zip(axes, maps.items(), strict=False):
            _draw(map_axes, path, blocks, norm)
        for unused in axes[len(maps) :]:
            unused.set_axis_off()
        if norm and ends:
            bar = figure.colorbar(ScalarMappable(norm, _COLORS), ax=axes, label="mean |ΔW| of a block", shrink=0.8)
            bar.outline.set_visible(False)
            bar.set_ticks([ends[0], math.sqrt(ends[0] * ends[1]), ends[1]])
            bar.ax.yaxis.set_major_formatter("{x:.2g}")
            bar.ax.minorticks_off()
        return png(figure)


def _ends(changes: Sequence[float]) -> tuple[float, float]:
    """The ends of the scale, which differ also where all blocks are equal."""
    top = max(changes)
    return min(max(min(changes), top / 10**_DECADES), top / 2), top


def _draw(axes: Axes, path: str, values: Floats, norm: LogNorm | None) -> None:
    axes.set_title(_folded(path), fontsize=8.5, color=INK)
    axes.set(xticks=[], yticks=[], xlabel="inputs", ylabel="outputs")
    if norm is None or not values.any():
        axes.text(0.5, 0.5, "nothing changed", ha="center", transform=axes.transAxes)
    else:
        changed = np.where(values > 0, values, np.nan)
        axes.imshow(changed, cmap=_COLORS, norm=norm, aspect="auto", interpolation="nearest")


def _folded(path: str) -> str:
    """On two lines where the path is long, so that neighbors do not run into each other."""
    parts = path.split(".")
    return (
        path
        if len(path) < 26
        else ".".join(parts[: len(parts) // 2 + 1]) + ".\n" + ".".join(parts[len(parts) // 2 + 1 :])
    )
