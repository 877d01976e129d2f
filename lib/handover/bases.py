"""The unedited model that a person names: by preset, by folder, or by GGUF file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.core import cache
from lib.core.errors import InputError
from lib.core.params import PRESETS, Model, check, did_you_mean, presets, read_params, with_recipe_file
from lib.models.fetching import write_manifest
from lib.models.manifest import MANIFEST, read_manifest, weights_folder


@dataclass(frozen=True, kw_only=True)
class NamedModel:
    """A model by the name of its preset, with the preset's values."""

    name: str
    values: Mapping[str, Any]

    @property
    def preset(self) -> Model:
        """The values, checked."""
        return check(with_recipe_file(self.values), Model, f"configs/models/{self.name}.yaml")


def named_model(model: str, setting: str = "--model") -> NamedModel:
    """The model that `model` names: a preset of configs/models/, a folder with a model, or a GGUF file.

    Raises InputError where it is none of these, with the nearest preset; `setting` is where the name comes from.
    """
    path = Path(model).expanduser()
    if (PRESETS / "models" / f"{model}.yaml").is_file():
        return NamedModel(name=model, values=_values(model))
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        name = "folder" if path.is_dir() else "gguf"
        return NamedModel(name=name, values=_values(name) | {"name": str(path.resolve())})
    names = [name for name in presets("models") if name not in ("folder", "gguf")]
    raise InputError(
        f"{setting}: wanted one of {', '.join(names)}, a folder with a model as transformers stores it, or a GGUF "
        f"file; found {model!r}{did_you_mean(model, names)}"
    )


def base_of(model: NamedModel) -> Path:
    """The folder with the model's manifest, as stage base writes it; the model is fetched where it is not at hand.

    Raises InputError for the tiny model, which the pipeline trains, and as lib.models.fetching does.
    """
    if model.preset.source == "tiny":
        raise InputError(
            f"{model.name}: it is trained by the pipeline, together with its facts; name another model, or a folder "
            "that `errata fix` has written"
        )
    key = hashlib.sha256(json.dumps(dict(model.values), sort_keys=True).encode()).hexdigest()[:16]
    folder = cache.cache_folder() / "bases" / f"{model.name}-{key}"
    if model.preset.source == "folder" or not (folder / MANIFEST).is_file() or not _is_here(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder, model.preset)
    return folder


def present_base(base: Path, preset: Model, elsewhere: Path | None = None) -> Path:
    """The base of a handed-over edit, whose weights are fetched where they are not on this machine.

    Args:
        base: the folder with the manifest that came with the edit.
        preset: the model's.
        elsewhere: a folder with the same model, in place of the path that the manifest names.

    Raises InputError where what is fetched, or lies elsewhere, has other files than the manifest says.
    """
    if elsewhere is None and _is_here(base):
        return base
    if elsewhere is not None:
        preset = preset.model_copy(update={"source": "folder", "name": str(elsewhere.resolve())})
    elif preset.source in ("folder", "gguf"):
        raise InputError(f"the model {preset.name} is not on this machine; name a folder that has it: --model PATH")
    key = hashlib.sha256(str(base.resolve()).encode()).hexdigest()[:16]
    folder = cache.cache_folder() / "bases" / f"handed-over-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, preset)
    expected, actual = read_manifest(base)["files"], read_manifest(folder)["files"]
    if different := sorted(name for name in expected if _is_weight(name) and actual.get(name) != expected[name]):
        raise InputError(
            f"{preset.name}: wanted the model that was edited; found other content in {', '.join(different)}"
        )
    return folder


def _is_weight(name: str) -> bool:
    return name.endswith((".safetensors", "tokenizer.json"))


def _is_here(base: Path) -> bool:
    try:
        folder = weights_folder(base)
    except FileNotFoundError:
        return False
    return any(folder.glob("*.safetensors"))


def _values(name: str) -> dict[str, Any]:
    return read_params(PRESETS / "models" / f"{name}.yaml")
