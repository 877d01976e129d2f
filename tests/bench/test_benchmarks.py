"""Both sides of a comparison, at the smallest size: they run, and find the same values."""

import argparse

import pytest

from bench import edit_speed, score_speed, side_by_side
from bench.shapes import SHAPES


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_scoring_finds_the_same_likelihoods_as_the_loop(shape: str) -> None:
    options = argparse.Namespace(records=1, shape=shape, layers=1, micro_batch_tokens=512)
    packed, loop = score_speed.errata(options), score_speed.loop(options)
    assert (packed.work, len(packed.values)) == (1, 26)
    assert packed.values == pytest.approx(loop.values, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_training_finds_the_same_losses_as_the_trainer(shape: str) -> None:
    options = argparse.Namespace(steps=2, batch_size=2, shape=shape, layers=1)
    packed, trainer = edit_speed.errata(options), edit_speed.trainer(options)
    assert packed.values == pytest.approx(trainer.values, abs=1e-4)


def test_the_options_of_a_benchmark_are_those_that_its_sides_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: the sides read `micro_batch_tokens`, and the option was called --micro-tokens."""
    read: list[int] = []

    def side(options: argparse.Namespace) -> side_by_side.Measurement:
        read.append(options.micro_batch_tokens)
        return side_by_side.Measurement(seconds=1.0, work=1, values=[])

    monkeypatch.setattr(score_speed, "errata", side)
    monkeypatch.setattr("sys.argv", ["score_speed", "--side", "errata"])
    score_speed.main()
    assert read == [4096]
