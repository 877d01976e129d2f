"""`make experiments`: experiments side by side, on one screen."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from lib.metrics.headline import COLUMNS
from tests.helpers.imports import ROOT
from tests.helpers.repositories import commit, dvc, git, small_repository

SCREEN = "160"
COUNTS = {"metrics/edit.json": {"pairs": 9, "steps": 3}, "metrics/recall.json": {"asked": 9, "known": 99.0}}


def command() -> list[str]:
    """What `make experiments` runs, without its `dvc` and the environment."""
    lines = subprocess.run(["make", "-n", "experiments"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = shlex.split(next(line for line in lines.splitlines() if "dvc exp show" in line))
    return words[words.index("dvc") + 1 :]


@pytest.mark.slow
def test_headline_numbers_and_changed_params_fit_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_repository(tmp_path / "here")
    values = {column.name: 50.0 for column in COLUMNS} | {
        "before": {"score": 1.0},
        "counts": {"score": 2},
        "verdict": "harmed",
    }
    stage = (folder / "evaluate.py").read_text().replace("ends = {", f"values |= {values!r}\nends = {{")
    (folder / "evaluate.py").write_text(stage)
    dag = (folder / "dvc.yaml").read_text()
    for name, counts in COUNTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(counts))
        dag += f"metrics: [{', '.join(COUNTS)}]\n" if name == list(COUNTS)[-1] else ""
    (folder / "dvc.yaml").write_text(dag)
    dvc(folder, "repro")
    commit(folder, "run")
    for number in (11, 12):
        dvc(folder, "exp", "run", "-q", "-n", f"para{number}", "-S", f"para.n={number}", "-S", "neighbors.kind=similar")
        git(folder, "checkout", "-q", "--", ".")
    monkeypatch.setenv("COLUMNS", SCREEN)
    table = dvc(folder, *command())
    assert "…" not in table
    header = next(line for line in table.splitlines() if "Experiment" in line).split()
    expected = {"verdict", "exact_match", "exact_match_paraphrases", "unchanged", "perplexity_ratio", "score"}
    assert {*header} == {"Experiment", *expected, "para.n", "neighbors.kind"}
    assert "para12" in table
