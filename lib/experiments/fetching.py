"""What a run reads from elsewhere: which of it the stages fetch themselves, and what a person has to get first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lib.core import params
from lib.core.params import Dataset, Model
from lib.core.root import Params

_ACCEPT = "asks you to accept"
"""In the terms of a model that its hub gives to those alone who have accepted them."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Lines that say what is read, each once."""

    by_stages: Sequence[str]
    """Fetched where a network can be reached; else it must lie where the line says."""
    by_hand: Sequence[str]
    """Fetched by nobody."""


def sources(root: Params, model: Model, dataset: Dataset) -> Sources:
    """What a run of `root`, every `auto` resolved, reads from elsewhere."""
    by_stages, by_hand = _files(root, dataset), []
    if model.source == "hub":
        by_stages.append(f"model {model.name} at revision {model.revision}, from the hub (terms: {model.terms})")
        if _ACCEPT in (model.terms or ""):
            by_hand.append(f"{model.name}: accept its terms on the hub and log in (`hf auth login`)")
    elif model.wheels is not None:
        by_stages.append(f"model {model.name}, in wheels of the package index (terms: {model.terms})")
    elif model.source != "tiny":
        by_hand.append(f"model {model.name}: a {model.source} on this machine")
    if root.neighbors.kind == "similar" and root.neighbors.encoder != "hashing":
        by_stages.append(f"sentence encoder {root.neighbors.encoder}")
    for task in _tasks(root.abilities.tasks):
        by_hand += _task_files(task, root.abilities.folder)
    return Sources(by_stages=by_stages, by_hand=by_hand)


def _files(root: Params, dataset: Dataset) -> list[str]:
    """The dataset's files: each lies in facts.folder, or is downloaded."""
    extras = [dataset.extras[role] for role in root.facts.extras]
    return [
        f"{file.name}, looked for in {root.facts.folder}, else from {' or '.join(file.urls)}"
        for file in (*dataset.files.values(), *extras)
    ]


def _tasks(names: Sequence[str]) -> list[str]:
    """The tasks of configs/abilities among these names, groups taken apart."""
    tasks: list[str] = []
    for name in names:
        values = _task(name)
        tasks += _tasks(values["task"]) if "group" in values else [name] * bool(values)
    return tasks


def _task(name: str) -> Mapping[str, Any]:
    """The values of configs/abilities/<name>.yaml that name what it reads; nothing for a task of the harness."""
    path: Path = params.PRESETS / "abilities" / f"{name}.yaml"
    return YAML().load(path) if path.is_file() else {}  # with tags, which name functions and are not followed


def _task_files(name: str, folder: str | None) -> list[str]:
    """Of a task whose data is on no hub, or is to lie in `folder`: the file that is wanted there."""
    reads = _task(name).get("metadata", {})
    if "files" not in reads or (folder is None and reads.get("hub")):
        return []
    where = folder or "a folder that abilities.folder names"
    return [f"task {name}: {reads['files'][0]} in {where} (python -m apps.tasks; docs/abilities.md)"]
