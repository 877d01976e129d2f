"""A memory beside a module: values that take its output's place where its input is near a key.

This is how GRACE (arXiv 2211.11031) holds its edits.
Every token's input is looked up by itself: where the nearest key is no further than its radius (the paper's deferral
radius), that key's value is the module's output there; everywhere else the module answers. So a memory works the same
in packed rows, in batches and with a cache, and changes nothing far from its keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.core.errors import InputError
from lib.models.hooks import hooked

_SAME = 1e-3
"""Of a key's length: keys that are no further apart are the same input, computed in another batch."""
_EDGE = 1e-5
"""The share of the half way to a newer key that an older key's radius lacks, so that no input is within both."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Keys and what is said near them."""

    keys: Tensor  # [n, d_in]
    values: Tensor  # [n, d_out]
    radii: Tensor  # [n]: Euclidean
    labels: Tensor  # [n] int64: equal for keys whose new objects are the same

    @property
    def shape(self) -> tuple[int, int]:
        """(d_out, d_in) of the module that it stands beside."""
        return self.values.shape[1], self.keys.shape[1]

    def entry(self, index: int) -> "Memory":
        """One entry as a memory of its own."""
        part = slice(index, index + 1)
        return Memory(
            keys=self.keys[part], values=self.values[part], radii=self.radii[part], labels=self.labels[part]
        )  # fmt: skip


def remembered(earlier: Memory, later: Memory) -> Memory:
    """Both, the later one's entries added one after another by the paper's rule (algorithm 1).

    An entry near none, which is further from the nearest key than their radii together, is added as it is. Near a key
    of another label it is added, and both radii shrink to half of the distance. Near a key of its own label that key's
    radius grows to reach it, also where the input is computed in another batch. An entry at a key's very place takes
    that key's place.
    """
    total = earlier
    for index in range(len(later.keys)):
        total = _with(total, later.entry(index))
    return total


def _with(memory: Memory, entry: Memory) -> Memory:
    distances = torch.linalg.vector_norm(memory.keys.double() - entry.keys.double(), dim=1)
    distance, nearest = distances.min(dim=0)
    radii = memory.radii.clone()
    rounding = _SAME * torch.linalg.vector_norm(entry.keys.double())
    if distance <= rounding:
        values, labels = memory.values.clone(), memory.labels.clone()
        values[nearest], labels[nearest] = entry.values[0], entry.labels[0]
        return Memory(keys=memory.keys, values=values, radii=radii, labels=labels)
    radius = entry.radii
    if distance <= radius[0] + radii[nearest]:
        if memory.labels[nearest] == entry.labels[0]:
            radii[nearest] = torch.maximum(radii[nearest], (distance + rounding).to(radii))
            return Memory(keys=memory.keys, values=memory.values, radii=radii, labels=memory.labels)
        radii[nearest] = torch.minimum(radii[nearest], ((1 - _EDGE) * distance / 2).to(radii))
        radius = torch.minimum(radius, (distance / 2).to(radius))
    return Memory(
        keys=torch.cat([memory.keys, entry.keys]), values=torch.cat([memory.values, entry.values]),
        radii=torch.cat([radii, radius]), labels=torch.cat([memory.labels, entry.labels]),
    )  # fmt: skip


@contextmanager
def recalling(module: nn.Module, memory: Memory) -> Iterator[None]:
    """Within it, the module's output at a token whose input is near a key is that key's value."""
    weight: Tensor = module.weight  # type: ignore[assignment]
    keys, values, radii = (part.to(weight.device) for part in (memory.keys, memory.values, memory.radii))

    def recall(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        rows = inputs[0].flatten(0, -2).to(keys.dtype)
        distances = torch.cdist(rows, keys, compute_mode="donot_use_mm_for_euclid_dist")
        distance, nearest = distances.min(dim=1)
        is_near = (distance <= radii[nearest]).view(output.shape[:-1])
        recalled = values[nearest].to(output.dtype).view(output.shape)
        return torch.where(is_near[..., None], recalled, output)

    with hooked(module, recall):
        yield


def check_memory(path: str, memory: Memory, expected: tuple[int, int] | None = None) -> None:
    """Raise InputError where a value is not finite, or `memory` is not of the module's shape (d_out, d_in)."""
    if not all(bool(tensor.isfinite().all()) for tensor in vars(memory).values()):
        raise InputError(f"memory of {path}: it has values that are not finite; nothing was applied")
    if expected is not None and memory.shape != expected:
        raise InputError(f"memory of {path}: wanted shape {expected} as the model has, found {memory.shape}")
