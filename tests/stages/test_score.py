"""Stages `baseline` and `score`: the unedited model is measured once, and its rows stand beside the edited model's."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.core.records import Divergence, Generation, Score, Text, TextNll
from lib.core.root import read_root
from lib.core.tables import read, write
from lib.edits.edit import Edit
from lib.edits.store import clear_edit, save_edit
from lib.edits.updates import LowRank
from lib.protocols.inputs import model_preset
from lib.runtime.pieces import Pieces
from stages import baseline, score
from tests.helpers import small
from tests.helpers.models import tiny_model
from tests.helpers.stages import change_params, run_main

MODULE = "model.layers.1.mlp.down_proj"
TABLES = {"scores": Score, "generations": Generation, "divergences": Divergence, "text_nll": TextNll}
Run = Callable[[Any], None]


def option(name: str) -> str:
    """The command-line option of a table."""
    return name.replace("_", "-")


@pytest.fixture
def run_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a stage on small inputs and a random edit."""
    paths = small.inputs(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    stream = torch.Generator().manual_seed(1)
    left, right = torch.randn(32, 2, generator=stream), torch.randn(2, 48, generator=stream) / 4
    edit = Edit(updates={MODULE: LowRank(left=left, right=right)})
    save_edit(edit, tmp_path / "models/edit", tiny_model("llama"), model_preset(read_root()))

    generations = read_root().score.generations.model_dump() | {"tokens": 24}
    change_params(monkeypatch, score={"rows": 4, "generations": generations})
    before = {name: tmp_path / f"results/baseline/{name}.parquet" for name in ("scores", "generations", "text_nll")}
    before["states"] = tmp_path / "results/baseline/states.safetensors"
    options = {
        "baseline": {name: paths[name] for name in ("requests", "evaluation", "text", "model")}
        | {option(name): path for name, path in before.items()}
        | {"metrics": tmp_path / "metrics/baseline.json"},
        "score": paths
        | {f"{option(name)}-before": path for name, path in before.items()}
        | {option(name): tmp_path / f"results/{name}.parquet" for name in TABLES}
        | {"edit": tmp_path / "models/edit", "single-weights": tmp_path / "single.csv"}
        | {"metrics": tmp_path / "metrics/score.json"},
    }

    def run_stage(stage: Any) -> None:
        name = stage.__name__.rpartition(".")[2]
        run_main(stage, options[name])

    return run_stage


def test_the_rows_of_the_unedited_model_are_those_of_stage_baseline_and_are_not_measured_again(
    run_stage: Run, tmp_path: Path
) -> None:
    run_stage(baseline)
    path = tmp_path / "results/baseline/scores.parquet"
    marked = [replace(row, nll=row.nll + 1_000) for row in read(path, Score)]
    write(path, Score, marked)
    run_stage(score)
    rows = read(tmp_path / "results/scores.parquet", Score)
    assert [row for row in rows if row.when == "before"] == marked
    after = [row for row in rows if row.when == "after"]
    key = ("request_id", "kind", "prompt_index", "role", "prompt", "target", "tokens")
    assert [[getattr(row, name) for name in key] for row in after] == [
        [getattr(row, name) for name in key] for row in marked
    ]
    assert all(abs(row.nll + 1_000 - before.nll) > 1e-6 for row, before in zip(after, marked, strict=True))


def test_an_edit_without_effect_is_not_measured(run_stage: Run, tmp_path: Path) -> None:
    run_stage(baseline)
    path = tmp_path / "results/baseline/scores.parquet"
    marked = [replace(row, nll=row.nll + 1_000) for row in read(path, Score)]
    write(path, Score, marked)
    clear_edit(tmp_path / "models/edit")
    save_edit(Edit(updates={}), tmp_path / "models/edit", tiny_model("llama"), model_preset(read_root()))
    run_stage(score)
    after = [row for row in read(tmp_path / "results/scores.parquet", Score) if row.when == "after"]
    assert [replace(row, when="before", session=0) for row in after] == marked
    assert {row.kl for row in read(tmp_path / "results/divergences.parquet", Divergence)} == {0.0}


def test_texts_and_divergences_stand_in_the_joined_tables(run_stage: Run, tmp_path: Path) -> None:
    run_stage(baseline)
    run_stage(score)
    texts = read(tmp_path / "results/generations.parquet", Generation)
    before = read(tmp_path / "results/baseline/generations.parquet", Generation)
    assert [row for row in texts if row.when == "before"] == before
    assert len(texts) == 2 * len(before) == 4 * len(small.REQUESTS)
    divergences = read(tmp_path / "results/divergences.parquet", Divergence)
    assert len(divergences) == len(small.REQUESTS)
    assert all(row.kl > 0 for row in divergences)


def test_an_edit_with_a_scope_leaves_other_prompts_and_says_how_many_are_inside(
    run_stage: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heldout = [Text(text=text, split="heldout") for text in (small.REQUESTS[0].prompt, "It rained on Tuesday.")]
    write(tmp_path / "data/text.parquet", Text, heldout)
    run_stage(baseline)
    change_params(monkeypatch, scope={"encoder": "hashing", "threshold": 0.95})
    run_stage(score)
    counts = json.loads((tmp_path / "metrics/score.json").read_text())["in_scope"]
    inside, prompts = counts["locality"]
    divergences = read(tmp_path / "results/divergences.parquet", Divergence)
    assert counts["efficacy"] == [len(small.REQUESTS)] * 2
    assert sum(row.kl > 0 for row in divergences) == inside < prompts == len(divergences)
    texts = read(tmp_path / "results/text_nll.parquet", TextNll)
    before, after = ([row for row in texts if row.when == when] for when in ("before", "after"))
    assert [replace(row, when="before") == earlier for row, earlier in zip(after, before, strict=True)] == [False, True]


@pytest.mark.parametrize(("stage", "killed_at"), [(baseline, "scores"), (score, "scores"), (score, "greedy texts")])
def test_a_run_that_was_killed_measures_the_rest_and_leaves_the_same_tables(
    run_stage: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Any, killed_at: str
) -> None:
    change_params(monkeypatch, score={"micro_batch_tokens": 24})
    run_stage(baseline)
    run_stage(score)
    folder = tmp_path / ("results/baseline" if stage is baseline else "results")
    uninterrupted = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    measured: list[int] = []
    add = Pieces.add

    def killed(self: Pieces, values: Any) -> None:
        work = self._folder.name.replace("-", " ") if self._folder else ""
        pairs = [*values]
        measured.extend(index for index, _ in pairs if work.startswith(killed_at))
        add(self, pairs)
        if len(measured) == len(pairs):  # its first piece
            raise KeyboardInterrupt

    monkeypatch.setattr(Pieces, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(stage)
    first = len(measured)
    run_stage(stage)
    assert 0 < first < len(measured), "some before the kill, some after it"
    assert len(measured) == len({*measured}), "none twice"
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == uninterrupted
    assert not [*tmp_path.glob(".scratch/*/*/*")], "pieces of finished work are dropped"
