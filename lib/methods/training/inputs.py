"""What goes into chosen modules while a model reads many texts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lib.models.check import packed_for
from lib.models.hooks import inputs_read
from lib.models.likelihood import hidden_states
from lib.models.packing import Item, Packed, batches

See = Callable[[str, Tensor], None]
"""Takes a module's path and its inputs in one forward pass, [b, t, d_in]."""


@torch.no_grad()
def read_inputs(
    model: nn.Module, items: Sequence[Item], paths: Sequence[str], micro_batch_tokens: int,
    see: Callable[[Packed, Sequence[int]], See], show: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> None:  # fmt: skip
    """Pass over all items, the longest first, up to the last of the modules, and hand over their inputs.

    Args:
        paths: modules of the model.
        see: asked before every pass, with the packed items and their indices, for what takes that pass's inputs.
        show: passes the batches on, and tells how far they are.
    """
    order = sorted(range(len(items)), key=lambda index: -items[index].length)
    for batch in show(list(batches(items, micro_batch_tokens, order))):
        packed = packed_for(model, [items[index] for index in batch])
        with inputs_read(model, paths, see(packed, batch)):
            hidden_states(model, packed)
