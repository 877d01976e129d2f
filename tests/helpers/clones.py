"""Clones of this repository as it is, whose default run takes seconds a stage."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.helpers.imports import ROOT
from tests.helpers.repositories import git
from tests.helpers.stages import small


def quick_clone(folder: Path, **changes: dict[str, Any]) -> Path:
    """A repository at `folder` with the files of this one and no run; nothing is committed.

    Its default is a tiny model of six steps, which knows nothing of what it was trained on. Of `changes` each is a
    section of params.yaml, with the values that differ.
    """
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if not name.startswith((".dvc/", "metrics/", "report/")) and name != "dvc.lock" and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for command in (("init", "-q"), ("config", "user.email", "a@b.c"), ("config", "user.name", "t")):
        git(folder, *command)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=folder, check=True)
    quick = small(YAML(typ="safe").load(folder / "params.yaml"))
    quick["facts"]["limit"] = 12
    quick["para"]["n"] = 3
    quick["neighbors"]["n"] = 2
    for section, values in changes.items():
        quick[section] |= values
    YAML().dump(quick, folder / "params.yaml")
    tiny = YAML(typ="safe").load(folder / "configs/models/tiny.yaml")
    tiny["tiny"]["steps"] = 6
    YAML().dump(tiny, folder / "configs/models/tiny.yaml")
    return folder
