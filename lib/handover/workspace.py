"""The folder that the pipeline runs in for `errata`: a copy of the code and the settings, under DVC without git.

It shares the repository's cache of outputs, so that what an earlier run has made is taken from there. The repository
itself is only read: no file, index, branch or experiment of it changes.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from lib.core.errors import InputError
from lib.core.params import ROOT
from lib.core.records import Request
from lib.experiments.overrides import PARAMS, by_file, distinct, overridden
from lib.handover.bundle import FACTS, write_facts

COPIED = ("dvc.yaml", "params.yaml", ".dvcignore", "configs", "lib", "stages", "examples")
"""Of the repository: what stages read that no stage makes."""
_RECIPES = "configs/recipes/"
_CONFIG = """\
[core]
    analytics = false
    check_update = false
    no_scm = true
[cache]
    dir = {cache}
"""


def make_workspace(
    folder: Path, requests: Sequence[Request], model: str, preset: Mapping[str, Any], settings: Sequence[str],
    root: Path = ROOT,
) -> None:  # fmt: skip
    """Make `folder` a workspace for these facts and this model; what an earlier run left there stays as outputs.

    Args:
        model: name of the preset, configs/models/<model>.yaml, which is written anew where it is not the repository's.
        preset: its values.
        settings: changes for params.yaml and the presets, as `dvc exp run -S` takes them.

    Raises InputError where a setting is none that these files take.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    for name in COPIED:
        copy_code(root / name, folder / name)
    (folder / ".dvc").mkdir(exist_ok=True)
    cache = (root / ".dvc" / "cache").resolve()
    (folder / ".dvc" / "config").write_text(_CONFIG.format(cache=cache), encoding="utf-8")
    path = folder / "configs" / "models" / f"{model}.yaml"
    if not path.is_file() or _values(path) != preset:
        _write_values(path, dict(preset))
    write_facts(folder / FACTS, requests)
    _set(folder / PARAMS, None, {"dataset": "own", "model": model})
    _set(folder / PARAMS, "own", {"path": FACTS})
    apply_settings(folder, _read_settings(model, preset, settings))


def _read_settings(model: str, preset: Mapping[str, Any], settings: Sequence[str]) -> list[str]:
    """The settings; those of a recipe's file name the preset where it has the recipe's values in itself."""
    if not isinstance(preset["train"]["held"], Mapping):
        return list(settings)
    own = f"configs/models/{model}.yaml:train.held."
    return [own + setting.partition(":")[2] if setting.startswith(_RECIPES) else setting for setting in settings]


def copy_code(source: Path, target: Path) -> None:
    """Copy a file, or a folder without what Python compiled, in the place of one that is there; nothing if absent."""
    if source.is_dir():
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    elif source.is_file():
        shutil.copyfile(source, target)


def _values(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def _write_values(path: Path, values: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(values, stream)


def _set(file: Path, section: str | None, values: Mapping[str, str]) -> None:
    """Set keys of a YAML file, its comments left as they are."""
    yaml = YAML()
    content = yaml.load(file.read_text(encoding="utf-8"))
    (content if section is None else content[section]).update(values)
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


def check_settings(settings: Sequence[str], root: Path = ROOT) -> None:
    """Raise InputError where what a command line sets is none that the repository's files take: before any work."""
    for name, overrides in by_file(distinct(settings)).items():
        overridden(_text(root, name, overrides), overrides, name)


def apply_settings(folder: Path, settings: Sequence[str]) -> None:
    """Change the files of a workspace as `-S` says. Raises InputError where a setting is none that they take."""
    for name, overrides in by_file(settings).items():
        overridden(_text(folder, name, overrides), overrides, name)  # raises where an override is malformed
        apply_overrides(str(folder / name), list(overrides))


def _text(folder: Path, name: str, overrides: Sequence[str]) -> str:
    path = folder / name
    if not path.is_file():
        raise InputError(f"-S {name}:{overrides[0]}: wanted a file of the repository; found none")
    return path.read_text(encoding="utf-8")
