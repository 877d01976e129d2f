"""How far an edit moves the weights: the figures of RECT's table 1 and what a large update is known by.

A vector (a bias, a norm's weight) counts as a matrix of one column.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lib.edits.apply import linear_weight
from lib.edits.edit import Edit
from lib.edits.singular import largest_singular_value, numerical_rank, singular_values
from lib.edits.updates import Dense, LowRank, Matrix, Update, Vector
from lib.models.sharding import whole


@dataclass(frozen=True, kw_only=True)
class Change:
    """The change of one weight, or of all that an edit touches."""

    entries: int
    manhattan: float
    """|W - W0|_1, the sum over all entries."""
    frobenius: float
    share_above: Mapping[str, float]
    """By threshold: percent of the entries with |(W - W0) / W0| above it."""
    rank: int | None
    """Numerical rank of W - W0; in total the sum. None where a side of it was too long to find out."""
    largest: float
    """Largest singular value of W - W0; in total the largest of all."""
    base_largest: float
    """Largest singular value of W0; in total the largest of all."""


@dataclass(frozen=True, kw_only=True)
class WeightChange:
    """The change of every weight that an edit touches, by path, and their total."""

    weights: Mapping[str, Change]
    total: Change


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Finds changes of one model, which has its unedited weights; what it finds of the base it finds once."""

    model: nn.Module
    thresholds: Sequence[float]
    rank_side: int
    """Of an update that is no low-rank one, all singular values are found up to this smaller side; else the largest."""
    base_largest: dict[str, float] = field(default_factory=dict)
    """By path, as they are found."""

    def of(self, edit: Edit) -> WeightChange:
        """What `edit`, the sum of all sessions, changes.

        Computed on the model's device in float32, sums and ranks in float64, one weight after another. The singular
        values are what takes time; those of a low-rank update are cheap. Weights come in the model's order, whatever
        that of the updates, which a stored edit has by name.
        """
        paths = [path for path in _paths(self.model) if path in edit.updates]
        changes = {path: self._change(path, edit.updates[path]) for path in paths}
        return WeightChange(weights=changes, total=_total(list(changes.values()), self.thresholds))

    def _change(self, path: str, update: Update) -> Change:
        if isinstance(update, Vector):
            weight, update = whole(self.model.get_parameter(path)).detach()[:, None], _column(update)
        else:
            weight = linear_weight(self.model.get_submodule(path)).detach()
        if path not in self.base_largest:
            self.base_largest[path] = largest_singular_value(weight)
        update = update.to(weight.device)
        delta = update.dense().float()
        relative = relative_change(delta, weight.float())
        above = {
            str(threshold): 100 * float((relative > threshold).sum()) / delta.numel() for threshold in self.thresholds
        }
        rank, largest = self._rank_and_largest(update, delta)
        return Change(
            entries=delta.numel(),
            manhattan=float(delta.abs().sum(dtype=torch.float64)),
            frobenius=float(torch.linalg.vector_norm(delta, dtype=torch.float64)),
            share_above=above,
            rank=rank,
            largest=largest,
            base_largest=self.base_largest[path],
        )

    def _rank_and_largest(self, update: Matrix, delta: Tensor) -> tuple[int | None, float]:
        if not isinstance(update, LowRank) and min(delta.shape) > self.rank_side:
            return None, largest_singular_value(delta)
        values = singular_values(update if isinstance(update, LowRank) else Dense(delta=delta))
        return numerical_rank(values, update.shape), float(values[0]) if len(values) else 0.0


def _paths(model: nn.Module) -> Iterator[str]:
    """The paths of the modules, and of their parameters, in the model's order."""
    for path, module in model.named_modules():
        yield path
        yield from (f"{path}.{name}".lstrip(".") for name, _ in module.named_parameters(recurse=False))


def relative_change(delta: Tensor, weight: Tensor) -> Tensor:
    """|delta / weight| entry by entry: infinite where a zero changes, 0 where nothing changes."""
    return (delta / weight).abs_().masked_fill_(delta == 0, 0)


def heat_map(update: Update, most: int) -> Tensor:
    """The mean of |update| over blocks, at most [most, most] of them, rows being outputs, in float32.

    Where the sizes do not divide, neighboring blocks share a row or a column of the matrix.
    """
    matrix = _column(update) if isinstance(update, Vector) else update
    magnitude = matrix.dense().float().abs()
    rows, columns = magnitude.shape
    return nn.functional.adaptive_avg_pool2d(magnitude[None], (min(most, rows), min(most, columns)))[0].cpu()


def _column(update: Vector) -> Dense:
    return Dense(delta=update.shift[:, None])


def _total(changes: Sequence[Change], thresholds: Sequence[float]) -> Change:
    entries = sum(change.entries for change in changes)
    ranks = [change.rank for change in changes]
    return Change(
        entries=entries,
        manhattan=math.fsum(change.manhattan for change in changes),
        frobenius=math.hypot(*(change.frobenius for change in changes)),
        share_above={
            name: math.fsum(change.share_above[name] * change.entries for change in changes) / max(1, entries)
            for name in map(str, thresholds)
        },
        rank=None if None in ranks else sum(change for change in ranks if change is not None),
        largest=max((change.largest for change in changes), default=0.0),
        base_largest=max((change.base_largest for change in changes), default=0.0),
    )
