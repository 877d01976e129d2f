"""Reads the folder with all reference values, of which tests/golden has a part."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FAMILIES = ("gpt2", "gptj", "llama")
PRUNED_LAYERS = {"gpt2": 2, "gptj": 0, "llama": 1}
"""The layer of each model whose update before and after PRUNE is copied."""


def arrays(folder: Path, name: str) -> dict[str, Tensor]:
    """The numeric arrays of one of the folder's .npz files."""
    with np.load(folder / "outputs" / f"{name}.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored if stored[key].dtype.kind in "fib"}


def read(folder: Path, name: str) -> Any:
    """One of the folder's JSON files."""
    return json.loads((folder / f"{name}.json").read_text())
