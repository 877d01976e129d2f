"""Running mean and variance of vectors, by which methods bring inputs and gradients to one scale."""

import torch
from torch import Tensor, nn

_TINY = 1e-7
"""Added to a standard deviation before dividing by it."""


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
        if not len(rows):
            return
        total = self.count + len(rows)
        mean = rows.mean(0)
        apart = mean - self.mean
        self.squares += ((rows - mean) ** 2).sum(0) + apart**2 * (self.count * len(rows) / total)
        self.mean += apart * (len(rows) / total)
        self.count.copy_(total)

    def normalised(self, rows: Tensor) -> Tensor:
        """The rows less the mean, in standard deviations; at least two vectors were added before."""
        return (rows - self.mean) / ((self.squares / (self.count - 1)).sqrt() + _TINY)
