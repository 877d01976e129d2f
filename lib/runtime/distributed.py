"""Several processes on the same work: who this one is, and the few things they tell each other.

Started by torchrun (or any launcher that sets its variables); without one there is a single process and every
operation is a no-op.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from lib.core.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Distributed:
    """This process among `world_size` processes."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    """Among the processes of the same machine."""
    sharded: bool = False
    """Whether the processes hold one model together (lib/models/sharding.py), where else each has one of its own."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def shard(self, items: Sequence[T]) -> list[T]:
        """This process's share: every size-th item, so that shares are alike where items are sorted by length."""
        return list(items[self.rank :: self.world_size])

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in one exchange."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with self._exchange():
            dist.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def all_gather(self, items: list[T]) -> list[T]:
        """Every process's items, in order of rank, in every process."""
        if self.world_size == 1:
            return items
        gathered: list[list[T]] = [[] for _ in range(self.world_size)]
        with self._exchange():
            dist.all_gather_object(gathered, items)
        return [item for of_rank in gathered for item in of_rank]

    def broadcast(self, value: T) -> T:
        """The first process's value, in every process."""
        return self.all_gather([value])[0]

    def barrier(self) -> None:
        """Return when every process has come here."""
        if self.world_size > 1:
            with self._exchange():
                dist.barrier()

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """Within it, a failure is said to be what it nearly always is."""
        try:
            yield
        except RuntimeError as error:  # torch has no narrower class for it on a CPU
            raise self._alone(error) from error

    def _alone(self, error: RuntimeError) -> ConnectionError:
        return ConnectionError(
            f"process {self.rank} of {self.world_size}: another process has ended or cannot be reached "
            f"({str(error).splitlines()[0]}). Its own messages say why. Nothing unfinished was written; the same "
            "command goes on from the last checkpoint."
        )


SINGLE_PROCESS = Distributed()
"""One process."""


def wants_shards() -> bool:
    """Whether the processes are to hold one model together: ERRATA_SHARD=1. Raises InputError for other words."""
    setting = os.environ.get("ERRATA_SHARD", "0")
    if setting not in ("0", "1"):
        raise InputError(f"ERRATA_SHARD: wanted 1 (the model spread over the processes) or 0; found {setting!r}")
    return setting == "1"


@contextmanager
def process_group() -> Iterator[Distributed]:
    """The processes that this one was started with.

    An operation raises ConnectionError where another of them has ended; with ERRATA_SHARD=1 any pass through the model
    is one.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Distributed()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    processes = Distributed(rank=dist.get_rank(), world_size=size, local_rank=local_rank, sharded=wants_shards())
    try:
        yield processes
    except RuntimeError as error:
        if processes.sharded and (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise processes._alone(error) from error
        raise
    dist.destroy_process_group()  # not after an error: it would wait for processes that may be gone
