"""What goes into chosen modules while a model reads many texts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lib.models.check import packed_for
from lib.models.likelihood import hidden_states
from lib.models.packing import Item, Packed, batches

See = Callable[[str, Tensor], None]
"""Takes a module's path and its inputs in one forward pass, [b, t, d_in]."""


@torch.no_grad()
def read_inputs(
    model: nn.Module, items: Sequence[Item], paths: Sequence[str], micro_batch_tokens: int,
    see: Callable[[Packed, Sequence[int]], See], show: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> None:  # fmt: skip
    """Pass over all items, the longest first, and hand over the inputs of the modules.

    Args:
        paths: modules of the model.
        see: asked before every pass, with the packed items and their indices, for what takes that pass's inputs.
        show: passes the batches on, and tells how far they are.
    """
    order = sorted(range(len(items)), key=lambda index: -items[index].length)
    for batch in show(list(batches(items, micro_batch_tokens, order))):
        packed = packed_for(model, [items[index] for index in batch])
        with _seen(model, paths, see(packed, batch)):
            hidden_states(model, packed)


@contextmanager
def _seen(model: nn.Module, paths: Sequence[str], see: See) -> Iterator[None]:
    """Within it, every pass calls `see` with the inputs of each module."""

    def hook(path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, inputs: see(path, inputs[0])

    with ExitStack() as stack:
        for path in paths:
            stack.callback(model.get_submodule(path).register_forward_pre_hook(hook(path)).remove)
        yield
