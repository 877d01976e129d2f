"""MEND: a trained network turns the gradient of an edit into an update (arXiv 2110.11309, section 3).

Every token's (x, delta) of a matrix, normalised by statistics gathered in training, passes through a residual MLP that
begins as the identity and is shared by all matrices of one shape; the update is minus the matrix's learned rate times
the sum of outer products of what comes out. Several requests are one batch, whose loss is the mean over its target
tokens.

mode published: statistics are those of the edit's own tokens, as in ROME's comparison (arXiv 2202.05262), whose release
never leaves training mode; the matrices of a shape are taken in order and add to one set of statistics.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Fact, Request
from lib.edits.apply import shape_of
from lib.edits.edit import Edit
from lib.edits.updates import LowRank
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.hypernets.learning import Learning, learn
from lib.methods.hypernets.moments import Moments, RunningMoments, moments_of_all
from lib.methods.hypernets.network import (
    Hypernet,
    Signals,
    Updates,
    edit_apart,
    edit_together,
    edited_modules,
    load_hypernet,
    new_targets,
)

NEEDS = Needs(hypernet=True, edit_each=True)


class Settings(Learning):
    """configs/editors/mend.yaml"""

    mode: Literal["corrected", "published"] = Field(description="see lib/editors/mend.py")
    rank: int = Field(ge=1, description="of the matrices of the residual MLP")
    hidden: int = Field(ge=0, description="layers of the residual MLP before its last")
    rate: float = Field(description="every matrix's learned rate at the start; an update is minus it times the sum")
    rate_lr: float = Field(ge=0, description="learning rate of the rates")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """One update for all requests, from the gradient of their common loss.

    Raises FileNotFoundError where no network was trained, InputError where it does not fit model or preset or an update
    is not finite, NotFiniteError where a gradient is not.
    """
    network, items = _trained(model, settings, context), new_targets(tokenizer, requests)
    weight = 1 / sum(len(item.targets[0]) for item in items)
    tokens = context.train.micro_batch_tokens if settings.mode == "corrected" else sum(item.length for item in items)
    summed = edit_together(model, network, items, [weight] * len(items), tokens)
    return Edit(updates=summed.updates, info={"editor": "mend", "pairs": len(items)})


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone; forward passes are shared."""
    if settings.mode == "published":
        return [edit(model, tokenizer, [request], settings, context) for request in requests]
    network, items = _trained(model, settings, context), new_targets(tokenizer, requests)
    weights = [1 / len(item.targets[0]) for item in items]
    edits = edit_apart(model, network, items, weights, context.train.micro_batch_tokens)
    return [Edit(updates=each.updates, info={"editor": "mend", "pairs": 1}) for each in edits]


def train_hypernet(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pool: Sequence[Fact],
    settings: Settings,
    context: Context,
    folder: Path,
) -> dict[str, float]:
    """Train the network on `pool` and write it to `folder`; returns figures of the training."""
    return learn("mend", new_network(model, settings), model, tokenizer, pool, settings, context, folder)


def new_network(model: PreTrainedModel, settings: Settings) -> "MendNetwork":
    """The untrained network, on the model's device; settings.seed draws it."""
    shapes = {path: shape_of(model.get_submodule(path)) for path in edited_modules(model, settings.layers)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return MendNetwork(shapes, settings).to(model.device)


def _trained(model: PreTrainedModel, settings: Settings, context: Context) -> Hypernet:
    network = new_network(model, settings)
    load_hypernet(context.hypernet, "mend", network)
    network.own_statistics = settings.mode == "published"
    return network.train(network.own_statistics)


class MendNetwork(Hypernet):
    """All of MEND's networks and rates. In training mode a forward pass adds its tokens to the statistics."""

    def __init__(self, shapes: dict[str, tuple[int, int]], settings: Settings) -> None:
        super().__init__()
        self.paths = list(shapes)
        self.own_statistics = False  # whether every pass starts its statistics anew
        self.shapes = {path: f"{d_in}x{d_out}" for path, (d_out, d_in) in shapes.items()}
        self.sides = {path: (d_in, d_out) for path, (d_out, d_in) in shapes.items()}
        kinds = list(self.shapes.values())
        self.place = {path: kinds[: self.paths.index(path)].count(kind) for path, kind in self.shapes.items()}
        self.editors = nn.ModuleDict(
            {
                f"{d_in}x{d_out}": _Shared(d_in, d_out, kinds.count(f"{d_in}x{d_out}"), settings)
                for d_out, d_in in sorted(set(shapes.values()))
            }
        )
        self.rates = nn.Parameter(torch.full((len(shapes),), settings.rate))

    def forward(self, signals: Signals) -> Updates:
        """The update of every edit; see Hypernet."""
        updates = {}
        reached = {path: self._reached(signals, path) for path in self.paths}
        rows = {path: (signals.inputs[path][reached[path]], signals.gradients[path][reached[path]]) for path in reached}
        batch = self._exchanged(rows)
        for index, path in enumerate(self.paths):
            shared: Any = self.editors[self.shapes[path]]
            if self.own_statistics and self.place[path] == 0:
                shared.forget()
            new_x, new_delta = shared(*rows[path], self.place[path], batch.get(path))
            right, left = torch.zeros_like(signals.inputs[path]), torch.zeros_like(signals.gradients[path])
            right[reached[path]], left[reached[path]] = new_x, -self.rates[index] * new_delta
            updates[path] = LowRank(left=left.mT, right=right)
        return updates

    def idle(self) -> None:
        """Take the other processes' tokens into the statistics; see Hypernet."""
        nothing = {path: tuple(self.rates.new_zeros(0, side) for side in self.sides[path]) for path in self.paths}
        for path, moments in self._exchanged(nothing).items():
            shared: Any = self.editors[self.shapes[path]]
            shared.merge(moments)

    def _reached(self, signals: Signals, path: str) -> Tensor:
        """[b, t] the tokens that the loss comes from: x is [b, t, d_in], delta [b, t, d_out]."""
        return (signals.inputs[path] != 0).any(-1) & (signals.gradients[path] != 0).any(-1)

    def _exchanged(self, rows: Mapping[str, Sequence[Tensor]]) -> dict[str, list[Moments]]:
        """By path the moments of all processes' x and delta, by which each brings its own to one scale.

        Nothing where one process has them all, or nothing is gathered.
        """
        if self.processes.world_size == 1 or not self.training:
            return {}
        moments = moments_of_all([side for path in self.paths for side in rows[path]], self.processes)
        return {path: moments[2 * index : 2 * index + 2] for index, path in enumerate(self.paths)}

    def groups(self, lr: float, rate_lr: float) -> list[dict[str, Any]]:
        """The rates have a learning rate of their own."""
        return [{"params": list(self.editors.parameters()), "lr": lr}, {"params": [self.rates], "lr": rate_lr}]


class _Shared(nn.Module):
    """The network of all matrices of one shape: [n, d_in], [n, d_out] -> the same shapes."""

    def __init__(self, d_in: int, d_out: int, matrices: int, settings: Settings) -> None:
        super().__init__()
        self.d_in = d_in
        self.layers = nn.ModuleList(_Layer(d_in + d_out, matrices, settings) for _ in range(settings.hidden + 1))
        self.inputs, self.gradients = RunningMoments(d_in), RunningMoments(d_out)

    def forward(
        self, x: Tensor, delta: Tensor, matrix: int, batch: Sequence[Moments] | None = None
    ) -> tuple[Tensor, Tensor]:
        if batch is not None:
            self.merge(batch)
        elif self.training:
            self.inputs.add(x)
            self.gradients.add(delta)
        if self.inputs.count < 2:
            raise InputError("mend: no statistics of x and delta; wanted a trained network: run `dvc repro hypernet`")
        rows = torch.cat([self.inputs.normalised(x), self.gradients.normalised(delta)], dim=-1)  # [n, d_in + d_out]
        for layer in self.layers:
            rows = layer(rows, matrix)
        return rows[:, : self.d_in], rows[:, self.d_in :]

    def merge(self, batch: Sequence[Moments]) -> None:
        """Take x and delta of all processes into the statistics."""
        self.inputs.merge(batch[0])
        self.gradients.merge(batch[1])

    def forget(self) -> None:
        """Start the statistics anew."""
        self.inputs.forget()
        self.gradients.forget()


class _Layer(nn.Module):
    """rows + max(0, scale * (U V rows + bias) + shift), with scale and shift of each matrix's own; begins as rows."""

    def __init__(self, d: int, matrices: int, settings: Settings) -> None:
        super().__init__()
        rank = min(settings.rank, d)
        self.u = nn.Parameter(torch.zeros(d, rank))
        self.v = nn.Parameter(torch.randn(rank, d))
        self.bias = nn.Parameter(torch.zeros(d))
        self.scale = nn.Parameter(torch.ones(matrices, d))
        self.shift = nn.Parameter(torch.zeros(matrices, d))

    def forward(self, rows: Tensor, matrix: int) -> Tensor:
        inner = rows @ self.v.T @ self.u.T + self.bias
        # clamp, not relu: at 0, where every layer begins, relu's gradient is 0 and nothing would ever be learned
        return rows + (inner * self.scale[matrix] + self.shift[matrix]).clamp(min=0)
