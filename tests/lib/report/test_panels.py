"""Panels of curves: readable PNGs, the same bytes each time, a legend only where lines have to be told apart."""

import io

import numpy as np
import pytest
from PIL import Image

from lib.report.plots import panels as curve_plots
from lib.report.plots.panels import Panel, Series, panels


def panel(*labels: str, percent: bool = True, top: float = 90.0) -> Panel:
    lines = [
        Series(label=label, edits=[0, 1, 40], values=[top, top / 2, top / 3], ci95=[1, 2, 3], width=1.0 + number)
        for number, label in enumerate(labels)
    ]
    return Panel(title="recall", series=lines, percent=percent, levels={"guessing": 25})


@pytest.mark.parametrize("count", [1, 2, 5])
def test_panels_are_a_png_that_grows_by_rows_and_is_the_same_each_time(count: int) -> None:
    pictures = [panels([panel("a")] * count, columns=2, width=4.8, height=1.5) for _ in range(2)]
    assert pictures[0] == pictures[1]
    image = Image.open(io.BytesIO(pictures[0]))
    assert (image.format, image.width, image.height) == ("PNG", 960, 300 * -(-count // 2))
    assert np.asarray(image.convert("L")).std() > 5


def test_a_legend_stands_above_several_lines_only() -> None:
    heights = [
        Image.open(io.BytesIO(panels([panel(*labels)], columns=1, width=4.8, height=2.0))).height
        for labels in (("a",), ("a", "b"))
    ]
    assert heights[0] == 400 < heights[1]


def test_values_over_many_powers_of_ten_are_drawn_on_a_logarithmic_scale() -> None:
    wide = Series(label="a", edits=[0, 1], values=[2.0, 2e5])
    for values, percent, scale in (
        ([2.0, 2e5], False, "log"), ([2.0, 20.0], False, "linear"), ([0.0, 2e5], False, "linear"),
        ([0.1, 100.0], True, "linear"),
    ):  # fmt: skip
        series = Series(label=wide.label, edits=wide.edits, values=values)
        percent_panel = Panel(title="x", series=[series], percent=percent)
        assert curve_plots.scale(percent_panel) == scale
        assert panels([percent_panel], columns=1, width=4.8, height=2.0)
