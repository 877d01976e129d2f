"""The pictures: they can be read as PNG, they are the same each time, and odd input does not stop them."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from lib.report.plots import edits

Draw = Callable[[], bytes]


def score_rows(*metrics: str) -> list[Mapping[str, Any]]:
    return [
        {"metric": metric, "when": when, "value": value, "ci95": 3.0}
        for metric in metrics
        for when, value in (("before", 4.0), ("after", 98.0))
    ]


def locality_rows(count: int) -> list[Mapping[str, Any]]:
    return [{"similarity": 1 / (number + 1), "before": 100.0, "after": 10.0 * (number % 11)} for number in range(count)]


def relation_rows(*names: str) -> list[Mapping[str, Any]]:
    return [{"relation": name, "n": 3, "efficacy": 90, "generalization": None, "locality": 50} for name in names]


DRAWN: dict[str, Draw] = {
    "scores": lambda: edits.scores(score_rows("exact match", "unchanged", "teacher-forced efficacy", "paper's score")),
    "only efficacy": lambda: edits.scores(score_rows("teacher-forced efficacy")),
    "training loss": lambda: edits.training_loss(range(1, 201), [200 / step for step in range(1, 201)]),
    "one training step": lambda: edits.training_loss([1], [2.5]),
    "locality by similarity": lambda: edits.locality_by_similarity(locality_rows(60)),
    "one edit": lambda: edits.locality_by_similarity(locality_rows(1)),
    "locality spread": lambda: edits.locality_spread([{"before": None, "after": 50.0}, *locality_rows(20)]),
    "relations": lambda: edits.success_by_relation(relation_rows("birthplace", r"$\frac$ {", "a" * 90)),
}
each_picture = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN.keys())


@each_picture
def test_a_picture_is_a_png_wide_enough_for_a_sharp_screen_and_not_blank(draw: Draw) -> None:
    image = Image.open(io.BytesIO(draw()))
    assert (image.format, image.width) == ("PNG", 960)
    assert np.asarray(image.convert("L")).std() > 5


@each_picture
def test_the_same_input_gives_the_same_bytes(draw: Draw) -> None:
    assert draw() == draw()


def test_the_users_own_matplotlib_settings_change_nothing_and_are_left_as_they_were() -> None:
    plain = DRAWN["scores"]()
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True}):
        assert DRAWN["scores"]() == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_only_the_first_relations_are_drawn_so_that_the_picture_stays_readable() -> None:
    names = [f"relation {number}" for number in range(edits.RELATIONS + 15)]
    assert edits.success_by_relation(relation_rows(*names)) == edits.success_by_relation(
        relation_rows(*names[: edits.RELATIONS])
    )
