"""The Edit artefact: what an editor changes, apart from the model, and the only code that applies it.

An Edit maps a module's path to an update of its weight, always in nn.Linear orientation [d_out, d_in] whatever the
module's own is (Conv1D stores [d_in, d_out]; an embedding, read as a map of one-hot ids, has d_in = vocabulary).
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """The update left @ right."""

    left: Tensor  # [d_out, r]
    right: Tensor  # [r, d_in]

    def dense(self) -> Tensor:
        """The update as a matrix [d_out, d_in]."""
        return self.left @ self.right


@dataclass(frozen=True, kw_only=True)
class Dense:
    """The update as a matrix."""

    delta: Tensor  # [d_out, d_in]

    def dense(self) -> Tensor:
        """The update as a matrix [d_out, d_in]."""
        return self.delta


Update = LowRank | Dense


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Updates by module path, and what made them."""

    updates: Mapping[str, Update]
    info: Mapping[str, Any] = field(default_factory=dict)
    """Editor, parameters and base model, as plain JSON values."""


@contextmanager
def applied(model: nn.Module, edit: Edit) -> Iterator[nn.Module]:
    """Within it, `model` computes with the edit; on every exit it is what it was, to the bit.

    Low-rank updates run beside the frozen weight and leave it alone. Dense ones are added to the weight, which is put
    back from a copy. Raises ValueError where a path or a shape does not fit the model or a value is not finite; the
    model is then untouched.
    """
    modules = dict(model.named_modules())
    for path, update in edit.updates.items():
        _check(path, modules.get(path), update)
    with ExitStack() as stack:
        for path, update in edit.updates.items():
            change = side_path if isinstance(update, LowRank) else _added
            stack.enter_context(change(modules[path], update))  # type: ignore[arg-type]
        yield model


@contextmanager
def side_path(module: nn.Module, update: LowRank, scale: float = 1.0) -> Iterator[None]:
    """Within it, `module`'s output has scale * left @ (right @ input) added, computed in the output's dtype."""

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        left, right = update.left.to(output.dtype), update.right.to(output.dtype)
        if isinstance(module, nn.Embedding):
            return output + scale * (nn.functional.embedding(inputs[0], right.T) @ left.T)
        return output + scale * ((inputs[0] @ right.T) @ left.T)

    handle = module.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _added(module: nn.Module, update: Dense) -> Iterator[None]:
    weight: Tensor = module.weight  # type: ignore[assignment]
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(own_orientation(module, update.delta).to(weight))
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


def own_orientation(module: nn.Module, matrix: Tensor) -> Tensor:
    """A matrix in nn.Linear orientation, turned the way `module` stores its weight (by its class, not by shape)."""
    return matrix if isinstance(module, nn.Linear) else matrix.T


def shape_of(module: nn.Module) -> tuple[int, int]:
    """(d_out, d_in) of a linear module, Conv1D or embedding. Raises ValueError for any other."""
    if not isinstance(module, nn.Linear | Conv1D | nn.Embedding):
        raise ValueError(f"{type(module).__name__}: wanted nn.Linear, Conv1D or nn.Embedding")
    first, second = own_orientation(module, module.weight).shape
    return first, second


def _check(path: str, module: nn.Module | None, update: Update) -> None:
    if module is None:
        raise ValueError(f"edit of {path}: the model has no such module; was the edit made for another model?")
    tensors = (update.left, update.right) if isinstance(update, LowRank) else (update.delta,)
    found = (tensors[0].shape[0], tensors[-1].shape[1])
    if found != shape_of(module):
        raise ValueError(f"edit of {path}: wanted shape {shape_of(module)} as the module has, found {found}")
    if not all(bool(one.isfinite().all()) for one in tensors):
        raise ValueError(f"edit of {path}: the update has values that are not finite; nothing was applied")
