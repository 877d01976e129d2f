"""`python -m apps.study` reads the runs of an experiment file from their DVC experiments."""

import json
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from dvc.repo import Repo
from safetensors.numpy import save_file

from apps import study
from lib.experiments.files import Scale, read_experiments
from lib.experiments.workspace import Workspace
from lib.metrics.weights import map_name
from tests.helpers.repositories import commit, experiments, git, small_repository

FILE = "seeds: [0]\nseed_params: [train.seed]\nrows:\n  plain: []\n  RECT 40: [para.n=40]\n  never: []\n  older: []\n"
FILE += "small:\n  set: [para.n=3]\n  skip: [RECT 40, never, older]\n"


def leave(folder: Path, recall: float) -> None:
    """What a run of 12 edits with a checkpoint after 4 leaves."""
    task = {"metric": "acc", "unit": "percent", "n": 5, "of": 9, "chance": None, "truncated": 0, "before": 98.0,
            "before_ci95": 1.0, "after": recall, "after_ci95": 2.0}  # fmt: skip
    kinds = ("score", "efficacy", "generalization", "locality")
    figure = {"mean": 50.0, "ci95": 50.0}
    after = {kind: {"success": figure, "kl": figure} for kind in kinds}
    evaluate: dict[str, Any] = {"n": 12, "headline": "success", "after": after}
    rows = [
        {"edits": edits, "group": "all so far", "kind": kind, "mean": 60.0 + edits, "ci95": 3.0}
        for edits in (4, 12)
        for kind in kinds
    ]
    for path, values in (
        (study.EVALUATE, evaluate), (study.ABILITIES, {"tasks": {"recall": task}, "sessions": {"4": {"recall": task}}}),
        (study.RETENTION, {"rows": rows}), (study.KL, {"rows": []}), ("metrics/evaluate.json", {"n": 12}),
    ):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(values))
    (folder / study.WEIGHTS).parent.mkdir(parents=True, exist_ok=True)
    (folder / study.WEIGHTS).write_text("edits,path,manhattan,frobenius,share_above_0.1,largest\n12,all,9,2,3,1\n")
    blocks = np.ones((2, 2), dtype=np.float32)
    save_file({"w": blocks, map_name("w", 4): blocks / 2}, folder / study.MAPS)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Metrics in git, the other files in DVC's cache; an experiment for two rows, and for one of the commit before."""
    folder = small_repository(tmp_path_factory.mktemp("repository"))
    (folder / "two.yaml").write_text(FILE)
    leave(folder, 98.0)
    with chdir(folder), Repo(str(folder)) as repo:
        repo.add([study.RETENTION, study.KL, study.WEIGHTS, study.MAPS])
    commit(folder, "second")
    table, workspace = read_experiments(folder / "two.yaml"), Workspace.of(folder)
    runs: list[tuple[str, Scale, float]] = [
        ("plain", "paper", 40.0), ("RECT 40", "paper", 70.0), ("older", "paper", 1.0), ("plain", "small", 55.0),
    ]  # fmt: skip
    for row, scale, recall in runs:
        leave(folder, recall)
        with chdir(folder), Repo(str(folder)) as repo:
            repo.add([study.RETENTION, study.KL, study.WEIGHTS, study.MAPS])
            repo.experiments.save(name=workspace.plan(table, row, 0, [], scale).name)
        git(folder, "checkout", "-qf", ".")
    ((ref,),) = (refs for name, refs in experiments(folder).items() if "older" in name)
    first = git(folder, "rev-parse", "HEAD~1").strip()
    git(folder, "update-ref", f"refs/exps/{first[:2]}/{first[2:]}/{ref.rsplit('/', 1)[1]}", ref)
    git(folder, "update-ref", "-d", ref)
    return folder


def asked(monkeypatch: pytest.MonkeyPatch, repository: Path, *arguments: str) -> None:
    monkeypatch.setattr(study, "ROOT", repository)
    monkeypatch.setattr(sys, "argv", ["study", str(repository / "two.yaml"), *arguments])
    study.main()


def test_every_row_is_read_from_its_experiment_and_pictures_points_and_table_are_written(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "here"
    asked(monkeypatch, repository, "--out", str(out), "--rows", "plain", "RECT 40")
    assert {path.name for path in out.iterdir()} == {
        "editing.svg", "abilities.svg", "weights.svg", "maps.svg", "maps.safetensors", "points.csv", "study.md"
    }  # fmt: skip
    maps = (out / "maps.svg").read_text()
    assert [f"{row}, {edits} edits" in maps for row in ("plain", "RECT 40") for edits in (4, 12)] == [True] * 4
    last = pl.read_csv(out / "points.csv").filter((pl.col("measure") == "recall") & (pl.col("edits") == 12))
    assert dict(last.select("row", "value").iter_rows()) == {"plain": 40.0, "RECT 40": 70.0}
    assert capsys.readouterr().out == (out / "study.md").read_text()
    assert "| RECT 40 | 12 | 1 | 72.0 ± 3.0 |" in (out / "study.md").read_text()


def test_rows_of_the_small_scale_are_those_that_ran_at_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, repository, "--out", str(tmp_path), "--scale", "small")
    last = pl.read_csv(tmp_path / "points.csv").filter((pl.col("measure") == "recall") & (pl.col("edits") == 12))
    assert dict(last.select("row", "value").iter_rows()) == {"plain": 55.0}


@pytest.mark.parametrize(
    ("row", "message"),
    [("never", r"found none\. `python -m apps"), ("older", r"found none; commit \w{7} has one\. `python -m apps")],
)
def test_a_row_that_head_has_not_run_is_named(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, message: str
) -> None:
    with pytest.raises(
        FileNotFoundError, match=rf"experiment two-{row}-s0-\w{{6}}: wanted among those of HEAD.*{message}"
    ):
        asked(monkeypatch, repository, "--out", str(tmp_path / "out"), "--rows", row)
    assert not (tmp_path / "out").exists()
