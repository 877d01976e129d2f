"""Bars: every value with its interval, what was not measured says so, and the words have all of it."""

import pytest

from lib.report.plots.bars import Bar, Block, Group, bars
from tests.helpers.drawings import outside, texts

SERIES = (("before", "before"), ("after", "after"))


AFTER = Bar(value=40.0, ci95=7.0)


def group(label: str, after: Bar | None = AFTER, level: float | None = None) -> Group:
    return Group(label=label, bars=[Bar(value=98.0, ci95=3.0), after], level=level)


def block(*groups: Group, title: str = "", is_percent: bool = True) -> Block:
    return Block(title=title, groups=groups, is_percent=is_percent)


@pytest.mark.parametrize(
    "blocks",
    [
        [block(*(group(f"task {number}") for number in range(8)))],
        [block(group("ppl", Bar(value=1e4, ci95=9e3)), title="perplexity", is_percent=False), block(group("a" * 90))],
        [block(group("none", Bar(value=None)), group("one side", None), group("nothing", Bar(value=0.0)))],
    ],
    ids=["eight", "two units", "missing"],
)  # fmt: skip
def test_bars_stay_inside_and_are_the_same_each_time(blocks: list[Block]) -> None:
    assert bars(blocks, SERIES) == bars(blocks, SERIES)
    assert outside(bars(blocks, SERIES)) == []


def test_every_group_and_every_block_makes_the_picture_higher() -> None:
    heights = [
        bars(blocks, SERIES).height
        for blocks in ([block(group("a"))], [block(group("a"), group("b"))], [block(group("a")), block(group("b"))])
    ]
    assert heights == sorted(set(heights))


def test_values_stand_at_the_bars_and_in_the_words() -> None:
    drawing = bars(
        [block(group("recall", level=25.0), group("yes", Bar(value=None)), title="percent")], SERIES, "guessing"
    )
    assert drawing.alt == (
        "percent: recall: before 98.0 ± 3.0 %, after 40.0 ± 7.0 %, guessing 25 %; yes: before 98.0 ± 3.0 %, after not "
        "measured."
    )
    assert {"98 %", "40 %", "not measured"} <= {*texts(drawing)}
    assert bars([block(group("ppl", Bar(value=4923.4, ci95=0.0)), is_percent=False)], SERIES).alt.endswith(
        "after 4,923 ± 0.0."
    )
