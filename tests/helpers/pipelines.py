"""A pipeline whose stages have the names of the real ones, read what those read, and take no time.

A stage notes when it began and ended in notes/, waits there for another one where `waits_for` says so, and fails where
`fails` does. `python -m tests.helpers.pipelines FOLDER` runs it as `errata` does, side by side.
"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from ruamel.yaml import YAML

from apps import pipeline
from lib.handover import beside

DEPS = {
    "facts": [], "base": ["facts"], "paraphrase": ["facts", "base"], "edit": ["paraphrase", "base"],
    "baseline": ["paraphrase", "base"], "score": ["edit", "baseline"], "frequencies": ["facts"],
    "evaluate": ["score", "frequencies"], "abilities": ["edit", "base"], "report": ["evaluate", "abilities"],
}  # fmt: skip
_STAGE = """\
import json, os, pathlib, sys, time
from lib.core.run import run
name, *inputs = sys.argv[1:]
notes, rules = pathlib.Path("notes"), json.loads(pathlib.Path("rules.json").read_text())

def main():
    note = {"began": time.monotonic(), "threads": os.environ.get("OMP_NUM_THREADS")}
    notes.mkdir(exist_ok=True)
    (notes / f"{name}-began").write_text("")
    until = time.monotonic() + 120
    while name in rules["waits_for"] and not (notes / rules["waits_for"][name]).exists():
        time.sleep(0.02)
        if time.monotonic() > until:
            raise SystemExit(f"error: {name}: waited in vain")
    if rules["fails"].get(name):
        raise SystemExit(f"error: {name}: {rules['fails'][name]}")
    pathlib.Path("out").mkdir(exist_ok=True)
    text = "".join(pathlib.Path("out", input).read_text() for input in inputs)
    pathlib.Path("out", name).write_text(f"{name}({text})")
    (notes / f"{name}.json").write_text(json.dumps(note | {"ended": time.monotonic()}))

run(main)
"""


def pipeline_in(
    folder: Path, waits_for: Mapping[str, str] | None = None, fails: Mapping[str, str] | None = None
) -> Path:
    """A workspace under DVC without git, in which nothing has run.

    Args:
        waits_for: by stage, the file of notes/ without which it does not end: `baseline-began`, `edit.json`, ...
        fails: by stage, its message.
    """
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    stages = {
        name: {
            "cmd": " ".join(["python stage.py", name, *deps]),
            "deps": ["stage.py", *(f"out/{dep}" for dep in deps)],
            "outs": [f"out/{name}"],
        }
        for name, deps in DEPS.items()
    }
    YAML().dump({"stages": stages}, folder / "dvc.yaml")
    (folder / "stage.py").write_text(_STAGE)
    (folder / "rules.json").write_text(json.dumps({"waits_for": waits_for or {}, "fails": fails or {}}))
    return folder


def notes(folder: Path, name: str) -> dict[str, Any]:
    """When a stage began and ended, and the number of its threads."""
    values: dict[str, Any] = json.loads((folder / "notes" / f"{name}.json").read_text())
    return values


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as errata.command does
    beside.has_cores_for_two = lambda: True
    beside.has_memory_for_two = lambda workspace: True
    pipeline.repro(Path(sys.argv[1]), {}, Console())
