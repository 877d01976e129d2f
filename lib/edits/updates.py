"""The forms that an update of one weight takes, always in nn.Linear orientation [d_out, d_in]."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lib.core.errors import InputError
from lib.core.files import REPRODUCE


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """The update left @ right."""

    left: Tensor  # [d_out, r]
    right: Tensor  # [r, d_in]

    def dense(self) -> Tensor:
        """The update as a matrix [d_out, d_in]."""
        return self.left @ self.right

    @property
    def shape(self) -> tuple[int, ...]:
        """(d_out, d_in)"""
        return self.left.shape[0], self.right.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the update's tensors are."""
        return self.left.device

    def to(self, device: torch.device) -> "LowRank":
        """The same update on `device`."""
        return LowRank(left=self.left.to(device), right=self.right.to(device))


@dataclass(frozen=True, kw_only=True)
class Dense:
    """The update as a matrix."""

    delta: Tensor  # [d_out, d_in]

    def dense(self) -> Tensor:
        """The update as a matrix [d_out, d_in]."""
        return self.delta

    @property
    def shape(self) -> tuple[int, ...]:
        """(d_out, d_in)"""
        return tuple(self.delta.shape)

    @property
    def device(self) -> torch.device:
        """Where the update's tensors are."""
        return self.delta.device

    def to(self, device: torch.device) -> "Dense":
        """The same update on `device`."""
        return Dense(delta=self.delta.to(device))


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """The update as its entries that are not zero."""

    index: Tensor  # [n] int64, ascending: row * d_in + column
    value: Tensor  # [n]
    size: Tensor  # [2] int64: d_out, d_in

    def dense(self) -> Tensor:
        """The update as a matrix [d_out, d_in]."""
        d_out, d_in = self.shape
        return self.value.new_zeros(d_out * d_in).index_put_((self.index,), self.value).view(d_out, d_in)

    @property
    def shape(self) -> tuple[int, ...]:
        """(d_out, d_in)"""
        d_out, d_in = self.size.tolist()
        return d_out, d_in

    @property
    def device(self) -> torch.device:
        """Where the update's tensors are."""
        return self.value.device

    def to(self, device: torch.device) -> "Sparse":
        """The same update on `device`."""
        return Sparse(index=self.index.to(device), value=self.value.to(device), size=self.size.to(device))


@dataclass(frozen=True, kw_only=True)
class Vector:
    """The update of a parameter that is no matrix: a bias or a norm's weight."""

    shift: Tensor  # [d]

    @property
    def shape(self) -> tuple[int, ...]:
        """(d,)"""
        return tuple(self.shift.shape)

    @property
    def device(self) -> torch.device:
        """Where the update's tensors are."""
        return self.shift.device

    def to(self, device: torch.device) -> "Vector":
        """The same update on `device`."""
        return Vector(shift=self.shift.to(device))


Matrix = LowRank | Dense | Sparse
Update = Matrix | Vector


def tensors_of(update: Update) -> dict[str, Tensor]:
    """The tensors that make up an update, by the names of its fields."""
    return dict(vars(update))


def check_finite(path: str, update: Update) -> None:
    """Raise InputError where a value of the update is NaN or infinite."""
    if not _are_finite(tensors_of(update)):
        raise InputError(f"edit of {path}: the update has values that are not finite; nothing was applied")


def check_stored(parts: Mapping[str, Mapping[str, Tensor]], file: Path) -> None:
    """Raise InputError naming `file`, which the tensors of each path come from, where a value is NaN or infinite.

    No such edit is ever written (lib/edits/store.py): the file was damaged.
    """
    for path, tensors in parts.items():
        if not _are_finite(tensors):
            raise InputError(f"{file}: {path}: wanted finite values; found some that are not. {REPRODUCE}")


def _are_finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values())
