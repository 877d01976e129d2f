"""The DAG: its declared dependencies are whole, and it does what was promised with `dvc repro` and `dvc exp run`."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from ruamel.yaml import YAML
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lib.core.params import PRESET_GROUPS
from lib.core.records import Score
from lib.core.tables import read
from tests.helpers.clones import quick_clone
from tests.helpers.imports import ROOT, closure
from tests.helpers.repositories import commit, git, small_repository

DAG: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")


@pytest.mark.parametrize("stage", DAG["stages"])
def test_a_stage_depends_on_every_module_it_imports(stage: str) -> None:
    declared = [str(path) for path in DAG["stages"][stage]["deps"]]
    imported = closure(ROOT / "stages" / f"{stage}.py")
    assert not {path for path in imported if not any(covers(dependency, path) for dependency in declared)}
    code = [path for path in declared if path.startswith(("lib/", "stages/"))]
    unused = [dependency for dependency in code if not any(covers(dependency, path) for path in imported)]
    assert not unused, "declared, but not imported"


def covers(dependency: Any, path: str) -> bool:
    """Whether a dependency or an output of dvc.yaml holds the file; an editor's module is named by a parameter."""
    if dependency == "lib/editors/${editor}.py":
        return path.startswith("lib/editors/")
    return path == dependency or path.startswith(f"{dependency}/")


def test_every_stage_of_the_dag_is_a_script_and_every_script_a_stage() -> None:
    assert {path.stem for path in (ROOT / "stages").glob("[a-z]*.py")} == set(DAG["stages"])


def test_the_unedited_model_is_measured_whatever_the_editor_and_what_it_trains_on() -> None:
    stage = DAG["stages"]["baseline"]
    data = {path for path in stage["deps"] if path.startswith(("data/", "models/"))}
    assert data == {"data/requests.parquet", "data/evaluation.parquet", "data/facts/text.parquet", "models/base"}
    assert all(str(name).startswith("score.") for name in stage["params"])
    assert {out for out in stage["outs"] if out.startswith("results/")} <= {*DAG["stages"]["score"]["deps"]}


def test_every_output_is_cached_but_metrics_and_the_report() -> None:
    """Of a stage with another uncached output DVC keeps no run, and repeats it whenever a setting comes back."""
    uncached = {
        next(iter(out)): stage for stage, of in DAG["stages"].items() for out in of["outs"] if isinstance(out, dict)
    }
    assert uncached == {"report": "report"}


def test_the_report_depends_on_every_parameter_and_preset_that_it_prints() -> None:
    listed = DAG["stages"]["report"]["params"]
    whole_files = {file for entry in listed for file, keys in entry.items() if keys is None}
    assert whole_files == {"params.yaml", *(f"configs/{group}s/${{{group}}}.yaml" for group in PRESET_GROUPS)}


def test_the_map_stays_short() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) < 450


PLOTS_OF_A_TOY = """\
stages:
  first:
    cmd: echo ${{n}} > first.txt
    params: [n]
    outs: [first.txt]
  last:
    cmd: {write}
    deps: [first.txt]
    outs: {outs}
plots: {plots}
"""


@pytest.mark.slow
def test_an_experiment_with_a_part_of_the_pipeline_succeeds_where_the_cache_is_empty(tmp_path: Path) -> None:
    """As in a fresh clone: dvc.lock knows of plots whose content nobody has. DVC reads folders, and not files."""
    plots = [path for plot in DAG["plots"] for path in plot]
    listed = [out for stage in DAG["stages"].values() for out in stage["outs"]]
    outs = [out for out in listed if any(covers(out, path) for path in plots)]
    folders = sorted({str(Path(path).parent) for path in plots})
    write = f"mkdir -p {' '.join(folders)} && for path in {' '.join(plots)}; do echo '[]' > $path; done"
    folder = small_repository(tmp_path / "first")
    (folder / "params.yaml").write_text("n: 1\n")
    (folder / "dvc.yaml").write_text(PLOTS_OF_A_TOY.format(write=write, outs=outs, plots=plots))
    dvc(folder, "repro")
    commit(folder, "run")
    git(tmp_path, "clone", "-q", str(folder), "fresh")
    for name, value in (("email", "a@b.c"), ("name", "t")):
        git(tmp_path / "fresh", "config", f"user.{name}", value)
    assert ran(dvc(tmp_path / "fresh", "exp", "run", "first", "-S", "n=2")) == {"first"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a base model that is made in seconds, its pipeline run once and committed."""
    folder = quick_clone(tmp_path_factory.mktemp("clone") / "errata")
    dvc(folder, "repro")
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "first"], cwd=folder, check=True)
    return folder


def restore(folder: Path) -> None:
    """Back to what was committed."""
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=folder, check=True)
    dvc(folder, "checkout", "--force", "-q")


def dvc(folder: Path, *arguments: str, **variables: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    environment |= {"PATH": path} | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(output: str) -> set[str]:
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


@pytest.mark.dag
def test_a_second_repro_runs_nothing(workspace: Path) -> None:
    assert ran(dvc(workspace, "repro")) == set()


@pytest.mark.dag
def test_another_number_of_paraphrases_runs_what_depends_on_it_only(workspace: Path) -> None:
    output = dvc(workspace, "exp", "run", "-S", "para.n=4")
    assert ran(output) == {"paraphrase", "edit", "score", "evaluate", "abilities", "report"}
    assert "metrics/paraphrase.json" in dvc(workspace, "metrics", "diff")
    assert ran(dvc(workspace, "exp", "run", "-S", "para.n=3")) == {"report"}  # whose folder git keeps, not DVC's cache


@pytest.mark.dag
def test_another_kind_of_neighbor_leaves_paraphrase_alone(workspace: Path) -> None:
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=workspace, check=True)
    dvc(workspace, "checkout", "-q")
    output = dvc(workspace, "exp", "run", "-S", "neighbors.kind=similar")
    assert ran(output) == {"encoder", "neighbors", "edit", "score", "evaluate", "abilities", "report"}


@pytest.mark.dag
def test_an_edit_that_was_killed_goes_on_to_the_same_bytes(workspace: Path) -> None:
    restore(workspace)
    params = YAML(typ="safe").load(workspace / "params.yaml")
    params["train"] |= {"checkpoint_steps": 1, "epochs": 4}
    YAML().dump(params, workspace / "params.yaml")
    command = [sys.executable, *str(DAG["stages"]["edit"]["cmd"]).split()[1:]]
    weights = workspace / "models/edit/adapter_model.safetensors"
    weights.unlink()
    scratch = workspace / ".scratch" / "edit"
    running = subprocess.Popen(command, cwd=workspace, stderr=subprocess.DEVNULL)
    while running.poll() is None and not list(scratch.glob("*/step-*")):
        time.sleep(0.01)
    running.kill()
    running.wait()
    checkpoints = list(scratch.glob("*/step-*"))
    assert checkpoints, "killed before the first checkpoint, or after the end"
    subprocess.run(command, cwd=workspace, check=True, capture_output=True)
    resumed = weights.read_bytes()
    subprocess.run(command, cwd=workspace, check=True, capture_output=True)
    assert resumed == weights.read_bytes()
    restore(workspace)


def by_hand(workspace: Path, stages: Sequence[str], **variables: str) -> tuple[dict[str, torch.Tensor], list[Score]]:
    """The adapter and the scores that these stages leave, their commands run as dvc.yaml has them."""
    shutil.rmtree(workspace / ".scratch", ignore_errors=True)  # what is known of the unedited model is found anew
    for stage in stages:
        command = [sys.executable, *str(DAG["stages"][stage]["cmd"]).split()[1:]]
        subprocess.run(command, cwd=workspace, env=os.environ | variables, check=True, capture_output=True)
    adapter = load_file(workspace / "models/edit/adapter_model.safetensors")
    return adapter, read(workspace / "results/scores.parquet", Score)


def losses(workspace: Path) -> list[float]:
    lines = (workspace / "results/train/loss.csv").read_text().splitlines()
    return [float(row["loss"]) for row in csv.DictReader(lines)]


@pytest.mark.dag
def test_two_processes_edit_and_score_as_one_each_with_a_model_or_with_one_together(workspace: Path) -> None:
    """A few steps only: over many, the model that was hardly trained makes much of the last bit of a sum."""
    restore(workspace)
    params = YAML(typ="safe").load(workspace / "params.yaml")
    params["train"] |= {"epochs": 1}
    YAML().dump(params, workspace / "params.yaml")
    single_process, alone = by_hand(workspace, ["baseline", "edit", "score", "abilities"], ERRATA_PROCESSES="1")
    curve, able = losses(workspace), abilities(workspace)
    assert any(matrix.any() for name, matrix in single_process.items() if "lora_B" in name)
    for shard, stages in (
        ("0", ["baseline", "edit", "score"]),
        ("1", ["base", "baseline", "edit", "score", "abilities"]),
    ):
        two, shared = by_hand(workspace, stages, ERRATA_PROCESSES="2", ERRATA_SHARD=shard)
        assert losses(workspace) == pytest.approx(curve, abs=1e-5)
        for name, matrix in single_process.items():
            torch.testing.assert_close(two[name], matrix, atol=1e-4, rtol=1e-3)  # a step moves entries by 3e-3
        assert [replace(row, nll=0) for row in shared] == [replace(row, nll=0) for row in alone]
        assert [row.nll for row in shared] == pytest.approx([row.nll for row in alone], abs=1e-3)
        assert abilities(workspace) == pytest.approx(able, rel=1e-3)
    restore(workspace)


def abilities(workspace: Path) -> list[float]:
    """The facts that the base model knows, and every task's headline before and after."""
    tasks = json.loads((workspace / "results/abilities.json").read_text())["tasks"]
    recall = json.loads((workspace / "metrics/recall.json").read_text())["known"]
    return [recall, *(tasks[name][when] for name in sorted(tasks) for when in ("before", "after"))]


@pytest.mark.dag
def test_the_plots_page_and_the_report_are_made(workspace: Path) -> None:
    assert "index.html" in dvc(workspace, "plots", "show")
    assert (workspace / "report/index.html").stat().st_size > 10_000


@pytest.mark.dag
@pytest.mark.data
def test_fifty_real_counterfact_edits_go_through_the_whole_dag(workspace: Path, real_data: Path) -> None:
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=workspace, check=True)
    changes = ["dataset=counterfact", "facts.limit=50", "facts.pool_limit=300", f"facts.folder={real_data}"]
    changes += ["configs/models/tiny.yaml:tiny.steps=100", "train.epochs=20", "para.max_tokens=40"]
    dvc(workspace, "exp", "run", *(part for change in changes for part in ("-S", change)))
    metrics = json.loads((workspace / "metrics/evaluate.json").read_text())
    assert metrics["n"] == 50
    # 76, from 12: 100 steps of real English teach a tiny model less than 100 steps of the world did (94).
    assert metrics["efficacy"] >= metrics["before"]["efficacy"] + 40
    facts = json.loads((workspace / "metrics/facts.json").read_text())
    assert (facts["requests"], facts["pool"], facts["rejects"]) == (50, 300, 0)


@pytest.mark.dag
def test_ten_own_facts_become_an_adapter_that_peft_loads(workspace: Path) -> None:
    """This base model, hardly trained, knows no fact of the pool: an error, until no neighbors are asked for."""
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=workspace, check=True)
    own = ["exp", "run", "-S", "dataset=own", "-S", "own.path=examples/own_facts.csv"]
    with pytest.raises(
        AssertionError, match=r"the model knows none of the 936 facts of the pool\. Set model .*own\.pool"
    ):
        dvc(workspace, *own)
    dvc(workspace, *own, "-S", "own.pool=none", "-S", "neighbors.kind=none")
    model = AutoModelForCausalLM.from_pretrained(workspace / "models/base")
    ids = AutoTokenizer.from_pretrained(workspace / "models/base")("The birthplace of", return_tensors="pt").input_ids
    plain = model(ids).logits
    edited = PeftModel.from_pretrained(model, workspace / "models/edit")(ids).logits
    assert edited.shape == plain.shape
    assert not torch.allclose(edited, plain)
