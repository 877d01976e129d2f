"""The pictures of the edits: inside their frame, the same each time, and odd input does not stop them."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lib.report.plots import edits
from lib.report.plots.svg import Drawing
from tests.helpers.drawings import outside, texts

Draw = Callable[[], Drawing]


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


def retention_rows(*numbers: int) -> list[Mapping[str, Any]]:
    kinds = ("score", "efficacy", "generalization", "locality")
    return [
        {"group": group, "kind": kind, "edits": number, "mean": 100.0 / number, "ci95": 1.0}
        for group in ("all so far", "oldest", "newest") for kind in kinds for number in numbers
    ]  # fmt: skip


DRAWINGS: dict[str, Draw] = {
    "scores": lambda: edits.scores(score_rows("exact match", "unchanged", "teacher-forced efficacy", "paper's score")),
    "only efficacy": lambda: edits.scores(score_rows("teacher-forced efficacy")),
    "training loss": lambda: edits.training_loss(range(1, 201), [200 / step for step in range(1, 201)]),
    "one training step": lambda: edits.training_loss([1], [2.5]),
    "locality by similarity": lambda: edits.locality_by_similarity(locality_rows(60)),
    "one edit": lambda: edits.locality_by_similarity(locality_rows(1)),
    "locality spread": lambda: edits.locality_spread([{"before": None, "after": 50.0}, *locality_rows(20)]),
    "relations": lambda: edits.success_by_relation(relation_rows("birthplace", r"$\frac$ {", "a" * 90)),
    "retention": lambda: edits.retention(retention_rows(1, 5, 78)),
}
each_picture = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())


@each_picture
def test_a_picture_stays_inside_its_frame_and_is_the_same_each_time(draw: Draw) -> None:
    assert outside(draw()) == []
    assert draw() == draw()


@each_picture
def test_a_picture_says_its_numbers_in_words(draw: Draw) -> None:
    assert any(letter.isdigit() for letter in draw().alt)
    assert draw().alt.endswith(".")


def test_the_words_are_the_measured_values() -> None:
    assert "unchanged: after 98.0 ± 3.0 %" in DRAWINGS["scores"]().alt
    assert "exact match, paraphrases: before not measured, after not measured" in DRAWINGS["scores"]().alt
    assert DRAWINGS["training loss"]().alt == (
        "Loss in nats a token: 200 at step 1, 1.00 at step 200; the mean of the last 10 is 1.02, the lowest of a step "
        "1.00."
    )
    retention = DRAWINGS["retention"]().alt
    assert "efficacy, by edits so far: all 1: 100.0 %, 5: 20.0 %, 78: 1.3 %; oldest 1:" in retention
    assert "78: 1.3 %; newest 1:" in retention


def test_only_the_first_relations_are_drawn_so_that_the_picture_stays_readable() -> None:
    names = [f"relation_{number}" for number in range(edits.RELATIONS + 15)]
    drawing = edits.success_by_relation(relation_rows(*names))
    assert drawing == edits.success_by_relation(relation_rows(*names[: edits.RELATIONS]))
    assert "relation 3 (3)" in texts(drawing)
