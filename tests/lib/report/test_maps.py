"""Heat maps of weight changes: one scale for all, unchanged blocks empty, whatever the maps are."""

import numpy as np
import pytest

from lib.metrics.bootstrap import Floats
from lib.report.plots.maps import change_maps
from tests.helpers.drawings import outside, texts

PATH = "model.layers.0.mlp.down_proj"
RANDOM = np.abs(np.random.default_rng(0).standard_normal((64, 30)))
MAPS: dict[str, dict[str, Floats]] = {
    "one": {PATH: RANDOM},
    "four": {f"{PATH}.{number}": RANDOM * 10.0**-number for number in range(4)},
    "three, one unchanged": {"a": RANDOM, "b": np.zeros((3, 3)), "c": RANDOM.T},
    "one entry": {PATH: np.array([[0.0, 1e-9], [0.0, 0.0]])},
    "all alike": {PATH: np.ones((2, 2))},
    "nothing": {PATH: np.zeros((3, 3))},
}


@pytest.mark.parametrize("name", MAPS)
def test_maps_stay_inside_and_are_the_same_each_time(name: str) -> None:
    assert change_maps(MAPS[name]) == change_maps(MAPS[name])
    assert outside(change_maps(MAPS[name])) == []


def test_more_maps_make_more_rows_of_two() -> None:
    heights = [change_maps({f"{number}": RANDOM for number in range(count)}).height for count in (1, 2, 3, 4)]
    assert heights[0] == heights[1] < heights[2] == heights[3]


def test_neighbors_of_the_same_shade_are_one_line_and_unchanged_blocks_have_none() -> None:
    drawing = change_maps({"a": np.array([[1.0, 1.0, 0.0], [0.0, 0.0001, 0.0001]])})
    assert 'd="M0 0h2"' in drawing.svg
    assert 'd="M1 1h2"' in drawing.svg
    assert drawing.alt == "a: 4 of 6 blocks changed, by 0.000100 to 1.00 on average."


def test_a_map_without_a_change_says_so() -> None:
    drawing = change_maps(MAPS["nothing"])
    assert "nothing changed" in texts(drawing)
    assert drawing.alt == f"{PATH}: nothing changed."


def test_no_map_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one heat map"):
        change_maps({})
