"""Heat maps of weight changes: PNGs that are not blank, the same each time, whatever the maps are."""

import io

import numpy as np
import pytest
from PIL import Image

from lib.metrics.bootstrap import Floats
from lib.report.plots.maps import change_maps

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
def test_change_maps_are_a_png_that_is_not_blank_and_the_same_each_time(name: str) -> None:
    first, second = (change_maps(MAPS[name]) for _ in range(2))
    assert first == second
    picture = Image.open(io.BytesIO(first))
    assert (picture.format, picture.width) == ("PNG", 960)
    assert len(set(picture.convert("L").tobytes())) > 10


def test_more_maps_make_more_rows_of_two() -> None:
    heights = [
        Image.open(io.BytesIO(change_maps({f"{number}": RANDOM for number in range(count)}))).height
        for count in (1, 2, 3, 4)
    ]
    assert heights[0] == heights[1] < heights[2] == heights[3]


def test_no_map_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one heat map"):
        change_maps({})
