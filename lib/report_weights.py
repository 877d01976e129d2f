"""What an edit changes in the weights, as the report shows it: from stage edit's table and heat maps."""

from collections.abc import Mapping, Sequence

import polars as pl

from lib.curve_plots import Panel, Series, panels
from lib.metrics.bootstrap import Floats
from lib.metrics.weights import ABOVE, TOTAL, shares
from lib.report_pictures import Picture
from lib.weight_plots import change_maps

_WIDTH, _HEIGHT = 4.0, 1.5
_CURVES = {"manhattan": "Manhattan norm", "frobenius": "Frobenius norm", "largest": "largest singular value"}


def pictures(weights: pl.DataFrame, maps: Mapping[str, Floats]) -> list[Picture]:
    """Curves over the sessions where there are several, and heat maps where a matrix has changed."""
    made = []
    total = pl.DataFrame() if weights.is_empty() else weights.filter(pl.col("path") == TOTAL).sort("edits")
    if len(total) > 1:
        caption = "Of all changed weights together. Dotted: the largest singular value of the unedited ones."
        made.append(
            Picture(
                name="weights_by_edits",
                title="Weights while more edits are made",
                caption=caption,
                png=panels(_panels(total), columns=2, width=_WIDTH, height=_HEIGHT),
            )
        )
    if maps:
        caption = "Each block is the mean of its entries after the last edit; the most changed weights."
        made.append(
            Picture(name="weight_maps", title="Where the weights change", caption=caption, png=change_maps(maps))
        )
    return made


def _panels(total: pl.DataFrame) -> Sequence[Panel]:
    norms = [
        _panel(total, column, title, {"unedited": total["base_largest"][-1]} if column == "largest" else {})
        for column, title in _CURVES.items()
    ]
    return [*norms, *(_panel(total, column, title, {}) for column, title in shares(total).items())]


def _panel(total: pl.DataFrame, column: str, title: str, levels: Mapping[str, float]) -> Panel:
    line = Series(label="measured", edits=total["edits"].to_list(), values=total[column].to_list())
    return Panel(title=title, series=[line], percent=column.startswith(ABOVE), levels=levels)
