"""A model over one GPU: the weights of its blocks spread over the processes (FSDP2), whole only while they are used.

Every process keeps a share of each block's weights and gathers the rest for as long as it computes with that block
(ZeRO stage 3, arXiv 1910.02054; torch's fully_shard). Embedding, last norm and head stay whole everywhere, so that they
may be called at any time and a tied head needs no care; so do adapters, which lie beside the model.

All processes gather together: each must go through the blocks as often as the others. They do where all do the same;
where they do not, `join_uneven` sees to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from lib.models.architecture import architecture
from lib.runtime.distributed import Distributed

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def sharded(read: Callable[[], PreTrainedModel], where: torch.device, distributed: Distributed) -> PreTrainedModel:
    """The model that `read` gives, in this machine's memory, frozen, its blocks spread over the processes.

    The processes of a machine read one after another, so that it never holds more than one whole model. Raises
    InputError where the model's blocks are not known.
    """
    mesh = init_device_mesh(where.type, (distributed.world_size,))
    model: PreTrainedModel
    for turn in range(1 + max(distributed.all_gather([distributed.local_rank]))):
        if turn == distributed.local_rank:
            model = _shard(read(), mesh).to(where)
        distributed.barrier()
    with torch.no_grad():  # gathered for the first time in inference mode, weights could not be trained through
        model.base_model(torch.zeros(1, 1, dtype=torch.long, device=where), use_cache=False)
    return model


def _shard(model: PreTrainedModel, mesh: Any) -> PreTrainedModel:
    blocks = list(model.get_submodule(architecture(model).blocks))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    inside = {parameter for block in blocks for parameter in block.parameters()}
    outside = {parameter for parameter in model.base_model.parameters() if parameter not in inside}
    fully_shard(model.base_model, mesh=mesh, ignored_params=outside)  # makes one sequence of the blocks
    return model


def is_sharded(weight: Tensor) -> bool:
    """Whether each process holds a part of `weight` only."""
    return isinstance(weight, DTensor)


def whole(weight: Tensor) -> Tensor:
    """`weight` itself, or where it is spread the whole of it: for that all processes must ask together."""
    return weight.full_tensor() if isinstance(weight, DTensor) else weight


@contextmanager
def join_uneven(model: PreTrainedModel, idle: Callable[[], object] | None = None) -> Iterator[None]:
    """Within it, the processes may go through a spread model's blocks different numbers of times.

    Before each pass they count the processes that still work. A process that has finished makes idle passes until all
    have: of one token through the blocks, or as `idle` makes them (forward and backward, where the others go backward
    as well; as many forward as each of the others makes at a time).
    """
    decoder: nn.Module = model.base_model
    if not isinstance(decoder, FSDPModule):
        yield
        return
    count = _Count(next(model.parameters()).device)
    notice = decoder.register_forward_pre_hook(count.before_pass, prepend=True)
    try:
        yield
        idle = idle or partial(_one_token, decoder, count.device)
        while count.others_work():
            idle()
    finally:
        notice.remove()


class _Count:
    """Of the processes that are about to make a pass that matters: all of them count at the same time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._works, self._is_counted = 1, False

    def before_pass(self, *_: object) -> None:
        """Count before a pass, but for the first idle one, before which `others_work` has counted."""
        if not self._is_counted:
            self._sum()
        self._is_counted = False

    def others_work(self) -> bool:
        """Whether one does; this process no longer works."""
        self._works = 0
        self._is_counted = self._sum() > 0
        return self._is_counted

    def _sum(self) -> int:
        total = torch.tensor(self._works, device=self.device)
        dist.all_reduce(total)
        return int(total)


@torch.inference_mode()
def _one_token(decoder: nn.Module, device: torch.device) -> None:
    decoder(torch.zeros(1, 1, dtype=torch.long, device=device), use_cache=False)
