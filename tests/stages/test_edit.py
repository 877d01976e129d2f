"""Stage `edit`: what it writes beside the edit, what it clears away, and that a kill changes none of it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lib.core.root import read_root
from lib.edits import store
from lib.edits.store import load_edit, save_edit
from lib.edits.updates import Vector
from lib.edits.weight_change import Measure, heat_map
from lib.metrics.weights import maps_by_edits
from lib.protocols.files import Inputs
from lib.protocols.inputs import editing
from lib.runtime.distributed import Distributed
from stages import edit as stage
from tests.helpers import small
from tests.helpers.models import tiny_model
from tests.helpers.stages import change_params, run_main

COLUMNS = ["edits", "path", "entries", "manhattan", "frobenius", "share_above_0.077", "share_above_0.171", "rank",
           "largest", "base_largest"]  # fmt: skip
OUTPUTS = {"edit": "models/edit", "curve": "train/loss.csv", "weights": "train/weights.csv",
           "maps": "train/heat_maps.safetensors", "metrics": "metrics/edit.json",
           "results": "results/edit.json"}  # fmt: skip
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the stage in tmp_path with sections of params.yaml changed; its metrics and further results."""
    inputs = small.inputs(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def run_stage(editor: str = "ft", **changed: dict[str, Any]) -> dict[str, Any]:
        change_params(monkeypatch, editor=editor, train={"epochs": 2} | changed.pop("train", {}), **changed)
        named = {**inputs, **{name: tmp_path / path for name, path in OUTPUTS.items()}}
        del named["evaluation"]
        run_main(stage, named)
        metrics: dict[str, Any] = json.loads(named["metrics"].read_text())
        results: dict[str, Any] = json.loads(named["results"].read_text())
        assert len(metrics) <= 8
        return metrics | results

    return run_stage


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / OUTPUTS["weights"]).open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert reader.fieldnames == COLUMNS
        return list(reader)


@pytest.mark.parametrize("editor", ["ft", "ft_w", "lora"])
def test_a_mass_edit_has_a_row_for_every_changed_weight_and_their_total_is_in_the_metrics(
    run_stage: Run, tmp_path: Path, editor: str
) -> None:
    metrics = run_stage(editor)
    edit, rows = load_edit(tmp_path / OUTPUTS["edit"]), table(tmp_path)
    assert {row["path"] for row in rows[:-1]} == {*edit.updates}
    assert (rows[-1]["path"], len(rows)) == ("all", len(edit.updates) + 1)
    assert {row["edits"] for row in rows} == {"4"}
    measured = Measure(model=tiny_model("llama"), thresholds=(0.077, 0.171), rank_side=100).of(edit)
    for row in rows:
        change = measured.weights.get(row["path"], measured.total)
        expected = [
            change.manhattan,
            change.frobenius,
            *change.share_above.values(),
            change.rank,
            change.largest,
            change.base_largest,
        ]
        assert [float(row[name]) for name in COLUMNS[3:]] == pytest.approx(expected, rel=1e-4)
    assert {name: str(value) for name, value in metrics["change"].items()} == {
        name: value for name, value in rows[-1].items() if name not in ("edits", "path")
    }
    maps = load_file(tmp_path / OUTPUTS["maps"])
    matrices = {path: update for path, update in edit.updates.items() if not isinstance(update, Vector)}
    norms = {row["path"]: float(row["frobenius"]) for row in rows if row["path"] in matrices}
    assert maps
    assert {*maps} == {*sorted(norms, key=lambda path: -norms[path])[:4]}
    assert all(torch.allclose(values, heat_map(edit.updates[path], 64)) for path, values in maps.items())


def test_few_sessions_are_measured_one_by_one_and_many_at_the_checkpoints(run_stage: Run, tmp_path: Path) -> None:
    sequential = {"kind": "sequential", "batch_size": 1, "checkpoints": [2]}
    run_stage(protocol=sequential)
    every = table(tmp_path)
    metrics = run_stage(protocol=sequential, weights={"sessions": 3})
    at_checkpoints = table(tmp_path)
    totals = [row for row in every if row["path"] == "all"]
    assert [row["edits"] for row in totals] == ["1", "2", "3", "4"]
    assert [row for row in every if row["edits"] in ("2", "4")] == at_checkpoints
    assert float(totals[0]["manhattan"]) < float(totals[-1]["manhattan"]) == metrics["change"]["manhattan"]
    at_two = load_edit(tmp_path / OUTPUTS["edit"] / "checkpoints/00000002")
    measured = Measure(model=tiny_model("llama"), thresholds=(), rank_side=100).of(at_two).total
    assert measured.manhattan == pytest.approx(float(totals[1]["manhattan"]), rel=1e-4)


def test_heat_maps_are_kept_of_every_checkpoint_and_of_the_end(run_stage: Run, tmp_path: Path) -> None:
    run_stage(protocol={"kind": "sequential", "batch_size": 1, "checkpoints": [1, 3]}, weights={"maps": 1})
    maps = maps_by_edits(load_file(tmp_path / OUTPUTS["maps"]), edits=4)
    assert [*maps] == [1, 3, 4]
    for edits, folder in ((1, "checkpoints/00000001"), (3, "checkpoints/00000003"), (4, ".")):
        (path,) = maps[edits]
        update = load_edit(tmp_path / OUTPUTS["edit"] / folder).updates[path]
        assert torch.allclose(maps[edits][path], heat_map(update, 64))


def test_a_run_that_was_killed_measures_what_a_whole_one_does(
    run_stage: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequential = {"kind": "sequential", "batch_size": 1, "checkpoints": [1, 3]}
    run_stage(protocol=sequential)
    uninterrupted = [(tmp_path / OUTPUTS[name]).read_bytes() for name in ("weights", "maps")]

    def killed(edit: Any, folder: Path, *arguments: Any) -> None:
        if folder.name.endswith("3"):
            raise KeyboardInterrupt
        save_edit(edit, folder, *arguments)

    monkeypatch.setattr(store, "save_edit", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(protocol=sequential)
    monkeypatch.setattr(store, "save_edit", save_edit)
    run_stage(protocol=sequential)
    assert [(tmp_path / OUTPUTS[name]).read_bytes() for name in ("weights", "maps")] == uninterrupted


@pytest.mark.parametrize(
    ("editor", "kind", "note"), [("ike", "mass", "changes no weight"), ("ft", "single", "stage score")]
)
def test_where_no_weight_is_changed_the_table_is_empty_and_the_metrics_say_so(
    run_stage: Run, tmp_path: Path, editor: str, kind: str, note: str
) -> None:
    metrics = run_stage(editor, protocol={"kind": kind})
    assert table(tmp_path) == []
    assert load_file(tmp_path / OUTPUTS["maps"]) == {}
    assert note in metrics["change"]["note"]


def test_an_editor_that_needs_whole_weights_refuses_a_model_that_is_sharded(tmp_path: Path) -> None:
    inputs = {name: path for name, path in small.inputs(tmp_path).items() if name != "evaluation"}
    spread = Distributed(world_size=2, sharded=True)
    with pytest.raises(ValueError, match=r"editor rome needs whole weights.* wanted one of ike, lora, none, rag"):
        root = read_root().model_copy(update={"editor": "rome"})
        editing(root, Inputs(**inputs), "edit", spread, lambda steps: None).__enter__()


def test_what_an_earlier_run_left_in_the_output_is_cleared_away(run_stage: Run, tmp_path: Path) -> None:
    folder = tmp_path / OUTPUTS["edit"]
    run_stage("lora", protocol={"kind": "sequential", "batch_size": 2, "checkpoints": [2]})
    assert (folder / "checkpoints/00000002").is_dir()
    (folder / "notes.txt").write_text("not ours")
    run_stage("ft")
    assert sorted(path.name for path in folder.iterdir()) == ["edit.json", "notes.txt", "updates.safetensors"]
    run_stage("ft", protocol={"kind": "single"})
    assert sorted(path.name for path in folder.iterdir()) == ["edit.json", "notes.txt"]


def test_another_editor_than_the_params_one_can_be_chosen(run_stage: Run, tmp_path: Path) -> None:
    run_stage("ft")
    inputs = {name: path for name, path in small.inputs(tmp_path).items() if name != "evaluation"}
    root = read_root().model_copy(update={"editor": "kn"})
    with editing(root, Inputs(**inputs), "test", Distributed(), lambda steps: None) as (job, requests):
        assert job.editor.__name__ == "lib.editors.kn"
        assert len(requests) == len(small.REQUESTS)
