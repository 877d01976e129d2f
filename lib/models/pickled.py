"""Checkpoints in PyTorch's own format (pytorch_model*.bin), read once without running code and stored as safetensors.

Such a file is a pickle, which may run anything that its author liked. torch.load(weights_only=True) builds tensors and
nothing else, and refuses the rest.
"""

import logging
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lib.core.errors import InputError, reading
from lib.core.files import check_regular, read_object, replacing_folder, write_json
from lib.models.manifest import HUB_FILES
from lib.runtime.tensors import saving

BIN_FILES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")


def checkpoints(folder: Path) -> list[Path]:
    """The files of weights in PyTorch's own format in `folder`."""
    return sorted(folder.glob(BIN_FILES[0]))


def convert(folder: Path, target: Path) -> None:
    """Store in `target` the model in `folder`, its weights as safetensors in the same parts and dtype.

    `target` appears whole or not at all. Raises InputError where a file holds anything but tensors by their names.
    """
    with replacing_folder(target) as unfinished:
        for file in checkpoints(folder):
            logging.getLogger(__name__).info("storing %s as safetensors, once", file.name)
            with saving(target):
                save_file(dict(_tensors(file)), unfinished / _renamed(file.name), metadata={"format": "pt"})
        if (index := folder / BIN_FILES[1]).is_file():
            parts = read_object(index)
            parts["weight_map"] = {name: _renamed(file) for name, file in parts["weight_map"].items()}
            write_json(unfinished / "model.safetensors.index.json", parts)
        for file in {file for pattern in HUB_FILES for file in folder.glob(pattern) if file.is_file()}:
            shutil.copyfile(file, unfinished / file.name)


def _tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """The file's tensors by name; of several that share memory (tied ones) all but the first are copies."""
    check_regular(file)
    remedy = "It is not loaded any other way: give a model that is published as *.safetensors."
    with reading(file, "tensors alone, as torch.load(weights_only=True) reads them", remedy, Exception):
        weights = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{file}: wanted tensors by their names; found {type(weights).__name__} with other values")
    memory: set[int] = set()
    for name, tensor in weights.items():
        start = tensor.untyped_storage().data_ptr()
        yield name, tensor.clone(memory_format=torch.contiguous_format) if start in memory else tensor.contiguous()
        memory.add(start)


def _renamed(file: str) -> str:
    """model-00001-of-00002.safetensors for pytorch_model-00001-of-00002.bin."""
    return f"{file.removeprefix('pytorch_').removesuffix('.bin')}.safetensors"
