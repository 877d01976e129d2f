"""Panels of lines: every line has its name at its end, or a panel of its own; their values stand in the words."""

from itertools import pairwise

import pytest

from lib.report.plots.panels import Panel, Series, panel_rows, panels
from lib.report.plots.svg import FONT
from tests.helpers.drawings import SVG, outside, parsed, texts


def panel(*labels: str, percent: bool = True, top: float = 90.0, is_wide: bool = False) -> Panel:
    lines = [Series(label=label, edits=[1, 10, 40], values=[top, top / 2, top / 3], ci95=[1, 2, 3]) for label in labels]
    return Panel(title="recall", series=lines, percent=percent, levels={"guessing": 25}, is_wide=is_wide)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_panels_grow_by_rows_stay_inside_and_are_the_same_each_time(count: int) -> None:
    drawing = panels([panel("")] * count, columns=2)
    assert drawing == panels([panel("")] * count, columns=2)
    assert drawing.height == 120 * -(-count // 2) + 16
    assert outside(drawing) == []
    assert texts(drawing).count("edits") == min(count, 2)


def test_lines_have_their_names_at_their_ends_which_do_not_cover_each_other() -> None:
    names = ["first", "second", "third", "fourth"]
    drawing = panels([panel(*names, is_wide=True)], columns=1)
    assert [text for text in texts(drawing) if text in names] == sorted(names)
    assert outside(drawing) == []
    ends = [element for element in parsed(drawing).iter(f"{SVG}text") if element.text in names]
    heights = [float(element.attrib["y"]) for element in ends]
    assert all(below - above >= FONT - 0.01 for above, below in pairwise(heights))


def test_the_words_have_every_value_of_a_short_line_and_the_ends_of_a_long_one() -> None:
    assert panels([panel("LoRA")], columns=1).alt == (
        "recall, by edits: LoRA 1: 90.0 %, 10: 45.0 %, 40: 30.0 %; guessing 25.0."
    )
    long_line = Series(label="", edits=range(10), values=[float(number) for number in (3, 9, 1, 2, 3, 4, 5, 6, 7, 8)])
    words = panels([Panel(title="loss", series=[long_line], percent=False)], columns=1).alt
    assert words == "loss, by edits: 0: 3.00, 9: 8.00, between 1.00 and 9.00."


def test_rows_of_panels_share_a_scale_and_only_the_first_has_its_labels() -> None:
    grey = Series(label="", edits=[0, 9], values=[50.0, 10.0], role="context")
    contents = [
        Panel(title=name, percent=True, series=[Series(label="", edits=[0, 9], values=[90.0, value]), grey])
        for name, value in (("ROME", 80.0), ("KN", 20.0), ("FT", 30.0))
    ]
    drawing = panel_rows({"score": contents, "locality": contents})
    assert outside(drawing) == []
    assert texts(drawing).count("100 %") == 2
    assert texts(drawing).count("ROME") == 2
    assert "score. ROME, by edits: 0: 90.0 %, 9: 80.0 %. KN" in drawing.alt
    assert "50.0" not in drawing.alt
