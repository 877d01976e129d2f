"""How much an adapter changes what modules give for ordinary text, without a forward pass.

With C the second moment of a module's inputs x under the unedited model, W its weight, and s B A the adapter's update,

    drift = E|s B A x|^2 / E|W x|^2 = s^2 tr(B^T B  A C A^T) / tr(W C W^T)

and, of an adapter, the mean over its modules. The held texts of a step show some of that change, this all of it that C
knows of; MEMIT (arXiv 2210.07229, equation 10) has the same quantity in its least squares, as the error on old keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.edits.adapter import Adapter
from lib.edits.apply import linear_weight
from lib.methods.training.whitening import InputMoment


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the drift of an adapter with fixed A depends on beside its B."""

    grams: Mapping[str, Tensor]
    """By module path: A C A^T / tr(W C W^T), [rank, rank] float32."""

    def of(self, adapter: Adapter) -> Tensor:
        """The adapter's drift: a scalar through which gradients reach its B."""
        parts = [((adapter.b[path].T @ adapter.b[path]) * gram).sum() for path, gram in self.grams.items()]
        return adapter.scale**2 * torch.stack(parts).mean()


def drift_of(model: nn.Module, directions: Mapping[str, Tensor], moments: Mapping[str, InputMoment]) -> Drift:
    """The drift of adapters that have these directions A [rank, d_in], by module path."""
    grams = {}
    for path, matrix in directions.items():
        moment, weight = moments[path].every, linear_weight(model.get_submodule(path)).float()
        grams[path] = matrix @ moment @ matrix.T / ((weight @ moment) * weight).sum()
    return Drift(grams=grams)
