"""Bars of abilities: every unit on its own scale, readable whatever is missing."""

import io

import numpy as np
import pytest
from PIL import Image

from lib.metrics.abilities import Line
from lib.report.plots.bars import bars

EIGHT = ("reasoning", "nli", "open_qa", "closed_qa", "dialogue", "summarization", "ner", "sentiment")


def line(task: str, unit: str = "percent", after: tuple[float, float] | None = (40.0, 7.0)) -> Line:
    return Line(
        task=task, metric="acc", unit=unit, n=50, of=900, truncated=0, chance=25 if unit == "percent" else None,
        main=True, before=(98.0, 3.0), after=after,
    )  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        [line(task) for task in EIGHT],
        [line("perplexity", "perplexity", (1e4, 9e3)), line("recall"), line("hellaswag", "harness", (0.0, 0.0))],
        [line("recall", after=None)],
    ],
    ids=["eight", "three units", "before only"],
)
def test_bars_are_a_png_as_wide_as_the_report_and_the_same_each_time(lines: list[Line]) -> None:
    picture = bars(lines)
    assert picture == bars(lines)
    image = Image.open(io.BytesIO(picture))
    assert (image.format, image.width) == ("PNG", 960)
    assert np.asarray(image.convert("L")).std() > 5


def test_every_task_and_every_unit_makes_the_picture_higher() -> None:
    one_line, two, units = (
        Image.open(io.BytesIO(bars(lines))).height
        for lines in ([line("a")], [line("a"), line("b")], [line("a"), line("b", "perplexity")])
    )
    assert one_line < two < units
