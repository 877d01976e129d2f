"""Small DVC repositories: one stage, which turns params into metrics in no time."""

import os
import subprocess
import sys
from pathlib import Path

from dvc.repo import Repo

PARAMS = """\
# what the committed file says
dataset: world
model: tiny
editor: plain
neighbors: {kind: random}
para: {n: 10}     # so many
protocol: {kind: mass}
own: {path: facts.csv}
train: {seed: 0}
score: {value: 90.0}
"""
DAG = """\
stages:
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py, "${own.path}", "lib/${editor}.py"]
    params:
      - dataset
      - editor
      - neighbors
      - para
      - train
      - score
      - configs/datasets/${dataset}.yaml:
      - configs/editors/${editor}.yaml:
    metrics:
      - metrics/evaluate.json: {cache: false}
"""
EVALUATE = """\
import json, pathlib
from ruamel.yaml import YAML
from lib.plain import bonus
read = lambda path: YAML(typ="safe", pure=True).load(pathlib.Path(path))
params = read("params.yaml")
if params["para"]["n"] == 13:
    raise SystemExit("thirteen is not a number of paraphrases")
values = {
    "score": params["score"]["value"] + bonus, "exact_match": float(params["para"]["n"]),
    "exact_match_paraphrases": read("configs/editors/plain.yaml")["lr"],
    "unchanged": {"random": 1.0, "similar": 2.0}[params["neighbors"]["kind"]],
}
out = pathlib.Path("metrics/evaluate.json")
out.parent.mkdir(exist_ok=True)
ends = {f"{name}_ci95": 0.5 for name in values}
out.write_text(json.dumps({"n": 12} | values | ends))
"""
FILES = {
    "params.yaml": PARAMS,
    "dvc.yaml": DAG,
    "evaluate.py": EVALUATE,
    "lib/plain.py": "bonus = 0.0\n",
    "facts.csv": "prompt,target_new\n",
    "configs/datasets/world.yaml": "metric: success\n",
    "configs/editors/plain.yaml": "lr: 0.5\nmodels:\n  gpt-2.5: {lr: 1.0}\n",
    ".gitignore": "/.scratch/\n__pycache__/\n/table.yaml\n",
}


def git(folder: Path, *arguments: str) -> str:
    """What git prints there."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder: Path, message: str) -> None:
    """Everything that lies there, committed."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


def small_repository(folder: Path) -> Path:
    """A DVC repository at `folder` with one stage and one commit; nothing has run."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.email", "a@b.c")
    git(folder, "config", "user.name", "t")
    Repo.init(str(folder)).close()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    autostage = true\n")
    commit(folder, "first")
    return folder


def dvc(folder: Path, *arguments: str) -> str:
    """What a DVC command prints there, with this Python's folder first on the path."""
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PYTHON_FIRST = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def experiments(folder: Path) -> dict[str, list[str]]:
    """The refs of every experiment's name, of all commits."""
    refs: dict[str, list[str]] = {}
    for ref in git(folder, "for-each-ref", "--format=%(refname)", "refs/exps").split():
        if len(ref.split("/")) == 5 and "celery" not in ref:
            refs.setdefault(ref.rsplit("/", 1)[1], []).append(ref)
    return refs
