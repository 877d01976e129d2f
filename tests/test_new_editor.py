"""docs/new-editor.md is true: its code, put into a copy of the project, edits, is scored and keeps the contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lib.core.files import read_json
from lib.core.records import Score
from lib.core.tables import read
from lib.edits.store import load_edit
from lib.edits.updates import LowRank
from tests.helpers import small, stages
from tests.helpers.imports import ROOT

pytestmark = pytest.mark.slow

COPIED = ("lib", "stages", "configs", "tests", "params.yaml", "dvc.yaml", "pyproject.toml")


def blocks() -> dict[str, str]:
    """The code of docs/new-editor.md by the file that its first line names."""
    examples = re.findall(r"```\w+\n# (\S+)\n(.*?)```", (ROOT / "docs/new-editor.md").read_text(), re.DOTALL)
    return dict(examples)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's code with the documented editor added, chosen, and the inputs of its stages in their places."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "golden"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for name, text in blocks().items():
        assert not (folder / name).exists()
        (folder / name).write_text(text)
    named = YAML(typ="safe").load(folder / "params.yaml")
    named = stages.small(named)
    named["editor"] = next(Path(name).stem for name in blocks())
    YAML().dump(named, folder / "params.yaml")
    files = options(folder, "score")
    for name, path in small.inputs(folder / "made").items():
        target = folder / files[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return folder


def options(folder: Path, stage: str) -> dict[str, str]:
    """The command's options in dvc.yaml, which names every file."""
    dag: dict[str, Any] = YAML(typ="safe").load(folder / "dvc.yaml")
    words = str(dag["stages"][stage]["cmd"]).split()[3:]
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def run(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(folder), "DVC_ROOT": str(folder)}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_documented_editor_edits_and_is_scored_by_the_commands_of_the_dag(project: Path) -> None:
    for stage in ("edit", "baseline", "score"):
        run(project, f"stages.{stage}", *(f"--{name}={value}" for name, value in options(project, stage).items()))
    files = options(project, "edit")
    edit = load_edit(project / files["edit"])
    assert edit.info["editor"] == read_json(project / files["edit"] / "edit.json")["editor"] == "nudge"
    assert [type(update) for update in edit.updates.values()] == [LowRank]
    assert read_json(project / files["results"])["change"]["manhattan"] > 0
    rows = read(project / options(project, "score")["scores"], Score)
    new = {when: [row.nll for row in rows if row.kind == "efficacy" and row.role == "new" and row.when == when]
           for when in ("before", "after")}  # fmt: skip
    assert len(new["before"]) == len(new["after"]) == len(small.REQUESTS)
    assert sum(new["after"]) < sum(new["before"])


def test_the_documented_editor_is_found_by_the_contract_and_keeps_it(project: Path) -> None:
    output = run(project, "pytest", "-q", "-p", "no:cacheprovider", "tests/lib/editors/test_contract.py", "-k", "nudge")
    assert re.search(r"\b36 passed", output), output  # seven promises on five families, and a family that is not known
