"""Both sides of a comparison, at the smallest size: they run, and find the same values."""

import argparse
from typing import Any

import pytest

from bench import edit_speed, score_speed, side_by_side, statistics_speed
from bench.shapes import SHAPES
from tests.helpers.models import GOLDEN


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_scoring_finds_the_same_likelihoods_as_the_loop_and_the_harness(shape: str) -> None:
    options = argparse.Namespace(records=1, shape=shape, layers=1, micro_batch_tokens=512, harness_batch=8)
    packed, loop, harness = score_speed.errata(options), score_speed.loop(options), score_speed.harness(options)
    assert (packed.work, len(packed.values)) == (1, 26)
    assert packed.values == pytest.approx(loop.values, abs=1e-3)
    assert packed.values == pytest.approx(harness.values, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_training_finds_the_same_losses_as_the_trainer_and_a_loop_by_hand(shape: str) -> None:
    options = argparse.Namespace(steps=2, batch_size=2, shape=shape, layers=1)
    packed, trainer = edit_speed.errata(options), edit_speed.trainer(options)
    assert packed.values == pytest.approx(trainer.values, abs=1e-4)
    assert packed.values == pytest.approx(edit_speed.handwritten(options).values, abs=1e-4)


@pytest.mark.slow
def test_moments_are_those_of_a_pass_for_each_layer() -> None:
    options = argparse.Namespace(model=GOLDEN / "models" / "llama", texts=20)
    together, by_layer = statistics_speed.errata(options), statistics_speed.published(options)
    assert len(together.values) > 0
    assert together.values == pytest.approx(by_layer.values, rel=1e-4)


def test_a_ratio_stands_for_each_other_side() -> None:
    def run(seconds: float) -> list[dict[str, Any]]:
        return [{"seconds": seconds, "work": 6, "values": [1.0], "peak_memory_mib": 10}]

    sides = dict.fromkeys(("ours", "loop", "harness"), lambda options: None)
    benchmark = side_by_side.Benchmark(title="", unit="record", tolerance=1.0, sides=sides)  # type: ignore[arg-type]
    table = side_by_side._table(benchmark, {"ours": run(1.0), "loop": run(3.0), "harness": run(2.0)}, 0.0)
    assert "ours : loop = 3.00; ours : harness = 2.00" in table


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
