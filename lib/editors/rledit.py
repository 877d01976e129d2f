"""RLEdit: a network trained on whole streams of edits makes each turn's update ("Reinforced Lifelong Editing for
Language Models", arXiv 2502.05759).

Of every token of a turn and every chosen matrix, x enters the matrix and delta is the gradient at its output
(lib/methods/hypernets/turns.py). Normalised, both pass through residual blocks that begin as the identity and are
shared by all matrices of one shape: x~, delta~. With each matrix's learned rate and ridge, the update is least squares:

    v = -rate * (x . x~) * delta~        D = V^T (X X^T + ridge)^-1 X

so that the untrained network is nearly UltraEdit. The network is trained as lib/methods/hypernets/streams.py says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Fact, Request
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.hypernets.moments import RunningMoments
from lib.methods.hypernets.network import load_hypernet
from lib.methods.hypernets.streams import StreamLearning, StreamNetwork, learn_streams
from lib.methods.hypernets.turns import (
    Moments,
    Rows,
    changed_paths,
    edit_in_turns,
    gather,
    go_on,
    least_squares,
    shapes_of,
    smaller_least_squares,
    state_of,
)

NEEDS = Needs(hypernet=True)


class Settings(StreamLearning):
    """configs/editors/rledit.yaml"""

    rank: int = Field(ge=1, description="of the matrices of a residual block")
    blocks: int = Field(ge=1, description="residual blocks")
    rate: float = Field(gt=0, description="every matrix's learned rate at the start")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """The sum of all turns' updates; the moments go on from those of context.state, or of the training.

    Raises FileNotFoundError where no network was trained, InputError where it does not fit model or preset or an update
    is not finite, NotFiniteError where a gradient is not.
    """
    network = load_hypernet(context.hypernet, "rledit", new_network(model, settings))
    moments = network.moments
    go_on(moments, context.state, model.device)

    def solve(rows: Rows) -> Mapping[str, LowRank | Dense]:
        network.gather(rows)
        return {
            path: smaller_least_squares(rows[path][0], values, ridge)
            for path, (values, ridge) in network.targets(rows).items()
        }

    total = edit_in_turns(model, tokenizer, requests, network.paths, settings, context, solve)
    return replace(total, state=state_of(moments), info={"editor": "rledit", "pairs": len(requests)})


def train_hypernet(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pool: Sequence[Fact],
    settings: Settings,
    context: Context,
    folder: Path,
) -> dict[str, float]:
    """Train the network on `pool` and write it to `folder`; returns figures of the training."""
    return learn_streams("rledit", new_network(model, settings), model, tokenizer, pool, settings, context, folder)


def new_network(model: PreTrainedModel, settings: Settings) -> "RLEditNetwork":
    """The untrained network, on the model's device; settings.seed draws it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = RLEditNetwork(shapes_of(model, changed_paths(model, settings)), settings)
    return network.to(model.device)


class RLEditNetwork(StreamNetwork):
    """The blocks and the moments of every shape, and the rate and the ridge of every matrix."""

    def __init__(self, shapes: Mapping[str, str], settings: Settings) -> None:
        super().__init__()
        self.paths, self.shapes = list(shapes), dict(shapes)
        kinds = list(shapes.values())
        self.number = {path: kinds[: self.paths.index(path)].count(kind) for path, kind in shapes.items()}
        self.of_shape = nn.ModuleDict(
            {kind: _ShapeNetwork(kind, kinds.count(kind), settings) for kind in sorted({*kinds})}
        )
        self.rates = nn.Parameter(torch.full((len(kinds),), settings.rate))
        self.log_ridges = nn.Parameter(torch.zeros(len(kinds)))

    @property
    def moments(self) -> Moments:
        """Of x and delta, by shape; they go on with every turn that is gathered."""
        shared: Any = self.of_shape
        return {kind: (shared[kind].inputs, shared[kind].gradients) for kind in shared}

    def gather(self, rows: Rows) -> None:
        """Take a turn's tokens into account. Raises InputError where there are fewer than two so far."""
        gather(self.moments, self.shapes, rows)

    def targets(self, rows: Rows) -> dict[str, tuple[Tensor, Tensor]]:
        """By path v [n, d_out], what the update is to add where each token's x comes in, and the ridge []."""
        targets = {}
        for index, (path, (x, delta)) in enumerate(rows.items()):
            new_x, new_delta = self.of_shape[self.shapes[path]](x, delta, self.number[path])
            values = -self.rates[index] * (x * new_x).sum(-1, keepdim=True) * new_delta
            targets[path] = values, self.log_ridges[index].double().exp()
        return targets

    def forward(self, rows: Rows) -> Mapping[str, LowRank]:
        """The turn's update of every matrix; gradients reach `left`."""
        return {path: least_squares(rows[path][0], *target) for path, target in self.targets(rows).items()}


class _ShapeNetwork(nn.Module):
    """The blocks of all matrices of one shape: [n, d_in], [n, d_out] -> the same shapes."""

    def __init__(self, shape: str, matrices: int, settings: Settings) -> None:
        super().__init__()
        d_in, d_out = (int(side) for side in shape.split("x"))
        self.inputs, self.gradients = RunningMoments(d_in), RunningMoments(d_out)
        self.blocks = nn.ModuleList(_Block(d_in + d_out, matrices, settings.rank) for _ in range(settings.blocks))

    def forward(self, x: Tensor, delta: Tensor, matrix: int) -> tuple[Tensor, Tensor]:
        rows = torch.cat([self.inputs.normalised(x), self.gradients.normalised(delta)], dim=-1)  # [n, d_in + d_out]
        for block in self.blocks:
            rows = block(rows, matrix)
        return rows[:, : x.shape[1]], rows[:, x.shape[1] :]


class _Block(nn.Module):
    """rows + scale * max(0, U V rows + bias) + shift, with scale and shift of each matrix's own; begins as rows."""

    def __init__(self, d: int, matrices: int, rank: int) -> None:
        super().__init__()
        rank = min(rank, d)
        self.u = nn.Parameter(torch.zeros(d, rank))
        self.v = nn.Parameter(torch.randn(rank, d))
        self.bias = nn.Parameter(torch.zeros(d))
        self.scale = nn.Parameter(torch.ones(matrices, d))
        self.shift = nn.Parameter(torch.zeros(matrices, d))

    def forward(self, rows: Tensor, matrix: int) -> Tensor:
        # clamp, not relu: at 0, where every block begins, relu's gradient is 0 and nothing would ever be learned
        inner = (rows @ self.v.T @ self.u.T + self.bias).clamp(min=0)
        return rows + self.scale[matrix] * inner + self.shift[matrix]
