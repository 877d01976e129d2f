"""Checkpoints to go on from after a kill: each holds the digest of its own tensors, and a damaged one is passed over.

safetensors notices a file that was cut, not a byte that flipped; the digest notices both.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lib.core.errors import InputError
from lib.runtime.tensors import REMOVE, open_tensors, save_tensors

_DIGEST = "sha256"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The content of a checkpoint."""

    tensors: Mapping[str, Tensor]
    about: Mapping[str, str]
    """Texts by name."""


def save_checkpoint(tensors: Mapping[str, Tensor], path: Path, about: Mapping[str, str]) -> None:
    """Write tensors and texts by name, with the tensors' digest, whole or not at all. Raises as save_tensors does."""
    save_tensors(tensors, path, {**about, _DIGEST: _digest(tensors)})


def load_checkpoint(path: Path, device: str = "cpu") -> Checkpoint:
    """What `save_checkpoint` wrote, its tensors on `device`. Raises InputError where the file is damaged."""
    with open_tensors(path, REMOVE) as stored:
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a mapping
        about = dict(stored.metadata() or {})
    expected, digest = about.pop(_DIGEST, None), _digest(tensors)
    if digest != expected:
        raise InputError(f"{path}: wanted tensors with the digest {expected}; found {digest}. {REMOVE}")
    return Checkpoint(tensors={name: tensor.to(device) for name, tensor in tensors.items()}, about=about)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
