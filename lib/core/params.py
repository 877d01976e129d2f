"""params.yaml and the presets under configs/: read, and checked before anything runs.

What every key means, its unit and its range stand beside its type in lib/core/sections.py (params.yaml) and
lib/core/presets.py and recipes.py; the numbers are in params.yaml and the presets alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lib.core.errors import InputError, reading
from lib.core.files import check_regular
from lib.core.presets import (
    Dataset,
    Encoder,
    Model,
    Neighborhood,
    SourceFile,
    Tiny,
    Training,
    Wheel,
    Wheels,
    training,
    with_held_lora,
    with_limit,
    with_method,
    with_neighbors,
    with_pool,
)
from lib.core.recipes import Held, Lora, Recipe, step_limits, with_recipe
from lib.core.section import S, Section, check, did_you_mean, keys
from lib.core.sections import (
    Abilities,
    Auto,
    Facts,
    Frequencies,
    Generations,
    Greedy,
    Neighbors,
    Own,
    Para,
    PlainTexts,
    Protocol,
    Recall,
    Regularize,
    ScopeSettings,
    Scoring,
    Statistics,
    Train,
    Weights,
)

__all__ = [
    "PARAMS_FILE",
    "PRESETS",
    "PRESET_GROUPS",
    "ROOT",
    "Abilities",
    "Auto",
    "Dataset",
    "Encoder",
    "Facts",
    "Frequencies",
    "Generations",
    "Greedy",
    "Held",
    "Lora",
    "Model",
    "Neighborhood",
    "Neighbors",
    "Own",
    "Para",
    "PlainTexts",
    "Protocol",
    "Recall",
    "Recipe",
    "Regularize",
    "S",
    "ScopeSettings",
    "Scoring",
    "Section",
    "SourceFile",
    "Statistics",
    "Tiny",
    "Train",
    "Training",
    "Weights",
    "Wheel",
    "Wheels",
    "check",
    "did_you_mean",
    "preset",
    "presets",
    "presets_in_use",
    "read_params",
    "section",
    "step_limits",
    "training",
    "with_held_lora",
    "with_limit",
    "with_method",
    "with_neighbors",
    "with_pool",
    "with_recipe",
    "with_recipe_file",
]

ROOT = Path(__file__).resolve().parents[2]
PARAMS_FILE = ROOT / "params.yaml"
PRESETS = ROOT / "configs"


PRESET_GROUPS = ("dataset", "model", "editor")
"""Keys of params.yaml that name a preset of configs/<key>s/."""


def read_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """params.yaml, or a preset, as plain values (YAML 1.2, so 5e-05 is a number)."""
    check_regular(path)
    with reading(path, "YAML", "Correct it at that line.", YAMLError, ValueError, RecursionError):
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise InputError(f"{path}: wanted keys with values; found {type(values).__name__}")
    return values


def section(name: str, kind: type[S], path: Path = PARAMS_FILE) -> S:
    """One section of params.yaml, checked. Raises InputError naming file, key, what was wanted and what was found."""
    values = read_params(path)
    if name not in values:
        raise InputError(f"{path.name}: section {name!r} is absent; it holds {keys(kind)}")
    return check(values[name], kind, f"{path.name}: {name}")


def presets(group: str) -> list[str]:
    """The names of all presets in configs/<group>/."""
    return sorted(path.stem for path in (PRESETS / group).glob("*.yaml"))


def preset(group: str, name: str, kind: type[S]) -> S:
    """The preset configs/<group>/<name>.yaml, checked. Raises InputError with the nearest name where there is none."""
    values = _preset_values(group, name, f"{group[:-1]}: wanted")
    return check(with_recipe_file(values) if group == "models" else values, kind, f"configs/{group}/{name}.yaml")


def with_recipe_file(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model preset's values; train.held, where it names a file of configs/recipes, is that file's content."""
    train = model.get("train")
    if not isinstance(train, dict) or not isinstance(train.get("held"), str):
        return dict(model)
    recipe = _preset_values("recipes", train["held"], "train.held: wanted a recipe, null, or")
    return {**model, "train": {**train, "held": recipe}}


def _preset_values(group: str, name: str, message: str) -> dict[str, Any]:
    """The values of configs/<group>/<name>.yaml. Raises InputError with the nearest name where there is none."""
    available = presets(group)
    if name not in available:
        raise InputError(f"{message} one of {', '.join(available)}; found {name!r}{did_you_mean(name, available)}")
    return read_params(PRESETS / group / f"{name}.yaml")


def presets_in_use(named: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By group (dataset, model, editor) the values of the presets that `named`, params.yaml's values, names.

    Of an editor's preset only what holds for every model is left: what this model took is in results/edit.json.
    """
    values = {group: dict(read_params(PRESETS / f"{group}s" / f"{named[group]}.yaml")) for group in PRESET_GROUPS}
    values["model"] = with_recipe_file(values["model"])
    for by_model in ("models", "otherwise"):
        values["editor"].pop(by_model, None)
    return values
