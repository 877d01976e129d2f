"""An Edit in force while a block lasts, undone to the bit: the only code that applies one to a model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lib.core.errors import InputError
from lib.edits.edit import Edit
from lib.edits.memory import check_memory, recalling
from lib.edits.updates import LowRank, Update, Vector, check_finite
from lib.models.hooks import hooked
from lib.models.sharding import is_sharded, whole

_HALF = (torch.bfloat16, torch.float16)


@dataclass
class Gate:
    """Whether the branches of an adapter or of an edit work."""

    is_closed: bool = False

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Within it, the model computes without the branches."""
        self.is_closed = True
        try:
            yield
        finally:
            self.is_closed = False


@contextmanager
def applied(model: nn.Module, edit: Edit, gate: Gate | None = None) -> Iterator[nn.Module]:
    """Within it, `model` computes with the edit; on every exit it is what it was, to the bit.

    Low-rank updates run beside the frozen weight and leave it alone. Others are added to the weight, which is put
    back from a copy; in half precision, where adding would round a small update away, they run beside it too, and where
    it is spread over processes (lib/models/sharding.py), so that processes need not apply them at the same time. An
    update of any kind changes the module at its path only: one that shares its weight with another (a tied embedding)
    has a weight of its own meanwhile. A memory runs beside its module, after the updates. Contexts and notes are text:
    whoever asks the model puts them before the prompt.

    With a gate every matrix runs beside the weight, and adds nothing while it is closed. Raises InputError where a path
    or a shape does not fit the model, a value is not finite, a vector is spread, or the gate is to close something
    other than a matrix; the model is then untouched.
    """
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    shared = tied(model)
    check_fits(model, edit)
    if gate is not None:
        _check_closes(edit)
    with ExitStack() as stack:
        for path, update in edit.updates.items():
            if isinstance(update, LowRank):
                stack.enter_context(low_rank_branch(modules[path], update, gate=gate))
            elif isinstance(update, Vector):
                owner, _, name = path.rpartition(".")
                if name == "bias" and parameters[path].dtype in _HALF:
                    stack.enter_context(_beside_bias(modules[owner], update.shift))
                else:
                    stack.enter_context(_added(parameters[path], update.shift))
            elif gate is not None or is_sharded(modules[path].weight) or modules[path].weight.dtype in _HALF:
                stack.enter_context(_beside(modules[path], update.dense(), gate))
            else:
                if path in shared:
                    stack.enter_context(_untied(modules[path]))
                weight: Tensor = modules[path].weight
                stack.enter_context(_added(weight, own_orientation(modules[path], update.dense())))
        for path, memory in edit.memories.items():
            stack.enter_context(recalling(modules[path], memory))
        yield model


def _check_closes(edit: Edit) -> None:
    """Raise InputError where a gate cannot close the edit."""
    vectors = [path for path, update in edit.updates.items() if isinstance(update, Vector)]
    if without_gate := [*vectors, *edit.memories]:
        raise InputError(f"{without_gate[0]}: wanted a matrix, which a gate closes; found a vector or a memory")


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


def low_rank_branch(
    module: nn.Module, update: LowRank, scale: float = 1.0, gate: Gate | None = None
) -> AbstractContextManager[None]:
    """Within it, `module`'s output has scale * left @ (right @ input) added, computed in the output's dtype.

    While `gate` is closed nothing is added.
    """
    on_device = update.to(_device(module))
    return _hooked_beside(module, lambda input, dtype: scale * _product(module, on_device, input, dtype), gate)


@contextmanager
def applied_by_row(
    model: nn.Module, edits: Sequence[Mapping[str, LowRank]], rows: Sequence[int], scale: float = 1.0,
    gate: Gate | None = None,
) -> Iterator[None]:  # fmt: skip
    """Within it, the first rows[0] rows of a batch compute with the first edit, and so on; gradients reach the edits.

    Memory is that of the updates and of the outputs; no update is copied for its rows. While `gate` is closed nothing
    is added.

    Args:
        edits: updates by module path, of the same modules in each.
        rows: how many rows of a batch each edit has.
        scale: what every update is multiplied by.
    """
    with ExitStack() as stack:
        for path in edits[0]:
            updates = [edit[path] for edit in edits]
            stack.enter_context(_low_rank_branches(model.get_submodule(path), updates, rows, scale, gate))
        yield


def _low_rank_branches(
    module: nn.Module, updates: Sequence[LowRank], rows: Sequence[int], scale: float, gate: Gate | None
) -> AbstractContextManager[None]:
    on_device = [update.to(_device(module)) for update in updates]

    def added(input: Tensor, dtype: torch.dtype) -> Tensor:
        shares = zip(on_device, torch.split(input, list(rows)), strict=True)
        return scale * torch.cat([_product(module, update, of_update, dtype) for update, of_update in shares])

    return _hooked_beside(module, added, gate)


def _device(module: nn.Module) -> torch.device:
    weight: Tensor = module.weight  # type: ignore[assignment]
    return weight.device


def _product(module: nn.Module, update: LowRank, input: Tensor, dtype: torch.dtype) -> Tensor:
    """left @ (right @ input), computed in `dtype`."""
    left, right = (factor.to(dtype) for factor in (update.left, update.right))
    is_embedding = isinstance(module, nn.Embedding)
    inner = nn.functional.embedding(input, right.T) if is_embedding else input @ right.mT
    return inner @ left.mT


def _hooked_beside(
    module: nn.Module, added: Callable[[Tensor, torch.dtype], Tensor], gate: Gate | None
) -> AbstractContextManager[None]:
    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output if gate is not None and gate.is_closed else output + added(inputs[0], output.dtype)

    return hooked(module, add)


def _beside(module: nn.Module, delta: Tensor, gate: Gate | None) -> AbstractContextManager[None]:
    weight: Tensor = module.weight  # type: ignore[assignment]
    on_device = delta.to(weight.device, weight.dtype)

    def added(input: Tensor, dtype: torch.dtype) -> Tensor:
        matrix = on_device.to(dtype)
        if isinstance(module, nn.Embedding):
            return nn.functional.embedding(input, matrix.T)
        return input @ matrix.mT

    return _hooked_beside(module, added, gate)


def _beside_bias(module: nn.Module, shift: Tensor) -> AbstractContextManager[None]:
    return hooked(module, lambda _, __, output: output + shift.to(output))


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


def own_orientation(module: nn.Module, matrix: Tensor) -> Tensor:
    """A matrix in nn.Linear orientation, turned the way `module` stores its weight (by its class, not by shape)."""
    return matrix if isinstance(module, nn.Linear) else matrix.T


def linear_weight(module: nn.Module) -> Tensor:
    """The module's weight in nn.Linear orientation [d_out, d_in]: a view, or where it is spread the whole of it."""
    weight: Tensor = module.weight  # type: ignore[assignment]
    return own_orientation(module, whole(weight))


def shape_of(module: nn.Module) -> tuple[int, int]:
    """(d_out, d_in) of a linear module, Conv1D or embedding. Raises InputError for any other."""
    if not isinstance(module, nn.Linear | Conv1D | nn.Embedding):
        raise InputError(f"{type(module).__name__}: wanted nn.Linear, Conv1D or nn.Embedding")
    first, second = own_orientation(module, module.weight).shape
    return first, second


def check_fits(model: nn.Module, edit: Edit) -> None:
    """Raise InputError where a path or a shape of `edit` does not fit the model, or a value is not finite."""
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    for path, update in edit.updates.items():
        _check(path, modules.get(path), parameters.get(path), update)
    for path, memory in edit.memories.items():
        if (module := modules.get(path)) is None:
            raise InputError(f"memory of {path}: the model has no such module; was the edit made for another model?")
        check_memory(path, memory, shape_of(module))


def _check(path: str, module: nn.Module | None, parameter: Tensor | None, update: Update) -> None:
    if isinstance(update, Vector) and parameter is not None:
        expected: tuple[int, ...] = tuple(parameter.shape)
        if is_sharded(parameter):
            raise InputError(
                f"edit of {path}: a bias or a norm's weight that is spread over processes cannot be edited"
            )
    elif not isinstance(update, Vector) and module is not None:
        expected = shape_of(module)
    else:
        raise InputError(f"edit of {path}: the model has no such module; was the edit made for another model?")
    if update.shape != expected:
        raise InputError(f"edit of {path}: wanted shape {expected} as the model has, found {update.shape}")
    check_finite(path, update)
