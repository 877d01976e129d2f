"""Running mean and variance of vectors, by which methods bring inputs and gradients to one scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.runtime.distributed import Distributed

_TINY = 1e-7
"""Added to a standard deviation before dividing by it."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Of `count` vectors the mean [d], and the sum of squared differences from it [d]; zeros of no vectors."""

    count: int
    mean: Tensor
    squares: Tensor


class RunningMoments(nn.Module):
    """Running mean and variance of vectors [n, d], each entry by itself."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, d: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("squares", torch.zeros(d))  # sum of squared differences from the mean

    def forget(self) -> None:
        """Start anew."""
        for buffer in (self.count, self.mean, self.squares):
            buffer.zero_()

    def add(self, rows: Tensor) -> None:
        """Take vectors [n, d] into account."""
        if len(rows):
            mean = rows.mean(0)
            self.merge(Moments(count=len(rows), mean=mean, squares=((rows - mean) ** 2).sum(0)))

    def merge(self, rows: "Moments") -> None:
        """Take vectors into account of which the moments are known."""
        if not rows.count:
            return
        total = self.count + rows.count
        apart = rows.mean - self.mean
        self.squares += rows.squares + apart**2 * (self.count * rows.count / total)
        self.mean += apart * (rows.count / total)
        self.count.copy_(total)

    def normalised(self, rows: Tensor) -> Tensor:
        """The rows less the mean, in standard deviations; at least two vectors were added before."""
        return (rows - self.mean) / ((self.squares / (self.count - 1)).sqrt() + _TINY)


def moments_of_all(rows: Sequence[Tensor], distributed: Distributed) -> list[Moments]:
    """Of each of `rows` [n, d], the moments together with the rows that other processes have there; n may differ.

    Two exchanges for all of them: of sums, from which the means follow, and of squared differences from the means.
    """
    counts = torch.tensor([len(each) for each in rows], device=rows[0].device, dtype=torch.float32)
    sums = [each.sum(0) for each in rows]
    distributed.all_reduce([counts, *sums])
    means = [total / count.clamp(min=1) for total, count in zip(sums, counts, strict=True)]
    squares = [((each - mean) ** 2).sum(0) for each, mean in zip(rows, means, strict=True)]
    distributed.all_reduce(squares)
    return [
        Moments(count=int(count), mean=mean, squares=square)
        for count, mean, square in zip(counts.tolist(), means, squares, strict=True)
    ]
