"""The fixed matrices of an adapter, beside the checkpoints of its training, which hold B alone.

Found again after a kill, with another number of threads or on another machine, singular vectors may come with other
signs, and B would no longer fit; of several processes each might find its own.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from lib.core.files import newest_sound
from lib.methods.context import Context
from lib.methods.training.drift import Drift
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint

Directions = Mapping[str, Tensor]
"""A [rank, d_in] by module path."""


def stored_directions(
    context: Context, device: torch.device, find: Callable[[], tuple[Directions, Drift]]
) -> tuple[Directions, Drift]:
    """The directions and their drift: those in the folder of the checkpoints, else what `find` gives.

    Without checkpoints nothing is stored.
    """
    if context.checkpoints is None:
        return find()
    path = context.checkpoints.folder / "directions.safetensors"
    if not path.exists() or newest_sound([path], load_checkpoint) is None:
        directions, drift = find()
        if context.distributed.is_main:
            _write(path, directions, drift)
    context.distributed.barrier()
    return _read(path, device)


def _write(path: Path, directions: Directions, drift: Drift) -> None:
    matrices = {f"a/{name}": matrix for name, matrix in directions.items()}
    grams = {f"gram/{name}": gram for name, gram in drift.grams.items()}
    save_checkpoint({**matrices, **grams}, path, {"paths": json.dumps(list(directions))})


def _read(path: Path, device: torch.device) -> tuple[Directions, Drift]:
    stored = load_checkpoint(path, str(device))
    paths = json.loads(stored.about["paths"])  # in their order: sums over them are then the same to the bit
    return (
        {name: stored.tensors[f"a/{name}"] for name in paths},
        Drift(grams={name: stored.tensors[f"gram/{name}"] for name in paths}),
    )
