"""`python -m apps.study` reads the runs of an experiment file from their DVC experiments."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dvc.repo import Repo

from apps import study

FILE = "seeds: [0]\nseed_params: [train.seed]\nrows:\n  plain: []\n  RECT 40: [regularize.method=rect]\n  never: []\n"


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
        (study.RETENTION, {"rows": rows}), (study.KL, {"rows": []}),
    ):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(values))
    (folder / study.WEIGHTS).parent.mkdir(parents=True, exist_ok=True)
    (folder / study.WEIGHTS).write_text("edits,path,manhattan,frobenius,share_above_0.1,largest\n12,all,9,2,3,1\n")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Metrics in git, the other files in DVC's cache; an experiment for each of two rows."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.email", "a@b.c")
    git(folder, "config", "user.name", "t")
    Repo.init(str(folder)).close()
    tracked = [str(folder / one) for one in (study.RETENTION, study.KL, study.WEIGHTS)]
    for recall, name in ((98.0, ""), (40.0, "two-plain-s0"), (70.0, "two-rect-40-s0")):
        leave(folder, recall)
        with Repo(str(folder)) as repo:
            repo.add(tracked)
            if name:
                repo.experiments.save(name=name)
                continue
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "first")
    (folder / "two.yaml").write_text(FILE)
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
    assert {one.name for one in out.iterdir()} == {
        "editing.png", "abilities.png", "weights.png", "points.csv", "study.md"
    }  # fmt: skip
    last = pl.read_csv(out / "points.csv").filter((pl.col("measure") == "recall") & (pl.col("edits") == 12))
    assert dict(last.select("row", "value").iter_rows()) == {"plain": 40.0, "RECT 40": 70.0}
    assert capsys.readouterr().out == (out / "study.md").read_text()
    assert "| RECT 40 | 12 | 1 | 72.0 ± 3.0 |" in (out / "study.md").read_text()


def test_a_row_that_has_not_run_is_named(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="of 'two-never-s0'"):
        asked(monkeypatch, repository, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
