"""The Edit artefact: what an editor changes, apart from the model, and the only code that applies it.

An Edit maps a module's path to an update of its weight, always in nn.Linear orientation [d_out, d_in] whatever the
module's own is (Conv1D stores [d_in, d_out]; an embedding, read as a map of one-hot ids, has d_in = vocabulary). A
parameter that is no matrix (a bias, a norm) is updated under the parameter's own path. An edit that changes no weight
is a context: text put before every prompt of a request.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lib.models.sharding import is_sharded, whole


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


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Updates by module path (a vector's by parameter path), contexts by edit, and what made them."""

    updates: Mapping[str, Update]
    contexts: Mapping[str, str] = field(default_factory=dict)
    """By edit_id: text that goes before every prompt of that request (in-context editing)."""
    state: Mapping[str, Tensor] = field(default_factory=dict)
    """What the same editor needs when it edits again on top of this edit (sequential editing); not part of the edit."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Editor, parameters and base model, as plain JSON values."""


def tensors_of(update: Update) -> dict[str, Tensor]:
    """The tensors that make up an update, by the names of its fields."""
    return dict(vars(update))


@contextmanager
def applied(model: nn.Module, edit: Edit) -> Iterator[nn.Module]:
    """Within it, `model` computes with the edit; on every exit it is what it was, to the bit.

    Low-rank updates run beside the frozen weight and leave it alone. Others are added to the weight, which is put
    back from a copy; where it is spread over processes (lib/models/sharding.py) they run beside it too, so that
    processes need not apply them at the same time. An update of any kind changes the module at its path only: one that
    shares its weight with another (a tied embedding) has a weight of its own meanwhile. Contexts are text: whoever asks
    the model puts them before the prompt. Raises ValueError where a path or a shape does not fit the model, a value is
    not finite, or a vector is spread; the model is then untouched.
    """
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    shared = tied(model)
    check_fits(model, edit)
    with ExitStack() as stack:
        for path, update in edit.updates.items():
            if isinstance(update, LowRank):
                stack.enter_context(side_path(modules[path], update))
            elif isinstance(update, Vector):
                stack.enter_context(_added(parameters[path], update.shift))
            elif is_sharded(modules[path].weight):
                stack.enter_context(_beside(modules[path], update.dense()))
            else:
                if path in shared:
                    stack.enter_context(_untied(modules[path]))
                weight: Tensor = modules[path].weight
                stack.enter_context(_added(weight, own_orientation(modules[path], update.dense())))
        yield model


def tied(model: nn.Module) -> set[str]:
    """Paths of the modules that share their weight with another: an embedding and the head, in many models."""
    users: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D | nn.Embedding):
            users.setdefault(id(module.weight), []).append(path)
    return {path for paths in users.values() if len(paths) > 1 for path in paths}


@contextmanager
def _untied(module: nn.Module) -> Iterator[None]:
    shared: nn.Parameter = module.weight  # type: ignore[assignment]
    module.weight = nn.Parameter(shared.detach().clone(), requires_grad=shared.requires_grad)
    try:
        yield
    finally:
        module.weight = shared


@contextmanager
def side_path(module: nn.Module, update: LowRank, scale: float = 1.0) -> Iterator[None]:
    """Within it, `module`'s output has scale * left @ (right @ input) added, computed in the output's dtype.

    Where left is [b, d_out, r] and right is [b, r, d_in], every row of a batch has an update of its own.
    """

    weight: Tensor = module.weight  # type: ignore[assignment]
    whole_left, whole_right = (one.to(weight.device) for one in (update.left, update.right))

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        left, right = (one.to(output.dtype) for one in (whole_left, whole_right))
        if not isinstance(module, nn.Embedding):
            inner = inputs[0] @ right.mT
        elif right.dim() == 2:
            inner = nn.functional.embedding(inputs[0], right.T)
        else:
            inner = right.mT[torch.arange(len(right), device=right.device)[:, None], inputs[0]]
        return output + scale * (inner @ left.mT)

    handle = module.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _beside(module: nn.Module, delta: Tensor) -> Iterator[None]:
    weight: Tensor = module.weight  # type: ignore[assignment]
    delta = delta.to(weight.device, weight.dtype)
    handle = module.register_forward_hook(lambda _, inputs, output: output + inputs[0] @ delta.mT)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _added(weight: Tensor, delta: Tensor) -> Iterator[None]:
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(delta.to(weight))
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


def compose(first: Edit, second: Edit) -> Edit:
    """One edit that does what `first` and then `second` do, made on a model that had `first` applied.

    Updates add up: low-rank ones side by side, others as matrices. Info and state are the second's; where both have a
    context for the same request, the second's holds.
    """
    updates = dict(first.updates)
    for path, update in second.updates.items():
        updates[path] = _sum(updates[path], update) if path in updates else update
    return replace(second, updates=updates, contexts={**first.contexts, **second.contexts})


def _sum(one: Update, other: Update) -> Update:
    if isinstance(one, Vector) or isinstance(other, Vector):
        if type(one) is not type(other):
            raise ValueError("an edit updates a vector and a matrix under one path")
        return Vector(shift=one.shift + other.shift)  # type: ignore[union-attr]
    if isinstance(one, LowRank) and isinstance(other, LowRank):
        left = torch.cat([one.left, other.left.to(one.left)], dim=1)
        if left.shape[1] < min(one.shape):
            return LowRank(left=left, right=torch.cat([one.right, other.right.to(one.right)]))
    return Dense(delta=one.dense() + other.dense())


def own_orientation(module: nn.Module, matrix: Tensor) -> Tensor:
    """A matrix in nn.Linear orientation, turned the way `module` stores its weight (by its class, not by shape)."""
    return matrix if isinstance(module, nn.Linear) else matrix.T


def linear_weight(module: nn.Module) -> Tensor:
    """The module's weight in nn.Linear orientation [d_out, d_in]: a view, or where it is spread the whole of it."""
    weight: Tensor = module.weight  # type: ignore[assignment]
    return own_orientation(module, whole(weight))


def shape_of(module: nn.Module) -> tuple[int, int]:
    """(d_out, d_in) of a linear module, Conv1D or embedding. Raises ValueError for any other."""
    if not isinstance(module, nn.Linear | Conv1D | nn.Embedding):
        raise ValueError(f"{type(module).__name__}: wanted nn.Linear, Conv1D or nn.Embedding")
    first, second = own_orientation(module, module.weight).shape
    return first, second


def check_fits(model: nn.Module, edit: Edit) -> None:
    """Raise ValueError where a path or a shape of `edit` does not fit the model, or a value is not finite."""
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    for path, update in edit.updates.items():
        _check(path, modules.get(path), parameters.get(path), update)


def _check(path: str, module: nn.Module | None, parameter: Tensor | None, update: Update) -> None:
    if isinstance(update, Vector) and parameter is not None:
        wanted: tuple[int, ...] = tuple(parameter.shape)
        if is_sharded(parameter):
            raise ValueError(
                f"edit of {path}: a bias or a norm's weight that is spread over processes cannot be edited"
            )
    elif not isinstance(update, Vector) and module is not None:
        wanted = shape_of(module)
    else:
        raise ValueError(f"edit of {path}: the model has no such module; was the edit made for another model?")
    if update.shape != wanted:
        raise ValueError(f"edit of {path}: wanted shape {wanted} as the model has, found {update.shape}")
    check_finite(path, update)


def check_finite(path: str, update: Update) -> None:
    """Raise ValueError where a value of the update is NaN or infinite."""
    if not all(bool(one.isfinite().all()) for one in tensors_of(update).values()):
        raise ValueError(f"edit of {path}: the update has values that are not finite; nothing was applied")
