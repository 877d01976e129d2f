"""Turns of edits in closed form: what editors ultraedit and rledit share.

A turn is a batch of requests. Of every token of them and every chosen matrix, x enters the matrix and delta is the
gradient of the edit's loss at its output. Both are normalised, entry by entry, by the mean and the standard deviation
over all tokens of all turns so far (lifelong normalisation; matrices of one shape share them). An editor says by them
what is to be added to each output, v, and the update is the least squares solution with a ridge. The next turn takes
its gradients on the model as edited by the ones before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Auto, Section
from lib.core.records import Request
from lib.edits.apply import applied, shape_of
from lib.edits.edit import Edit, compose
from lib.edits.updates import Dense, LowRank, check_finite
from lib.methods.context import Context
from lib.methods.hypernets.moments import RunningMoments
from lib.methods.hypernets.network import Signals, new_targets, signals_of
from lib.methods.locating.places import known_layers
from lib.models.architecture import architecture
from lib.models.packing import Item, batches

_FIRST, _LAST = 0.64, 0.96
"""Layers that auto takes, as shares of the depth: those of GPT-J's published range (18 to 26 of 28)."""
Rows = Mapping[str, tuple[Tensor, Tensor]]
"""x [n, d_in] and delta [n, d_out] of a turn's tokens, by module path."""
Moments = Mapping[str, tuple[RunningMoments, RunningMoments]]
"""By shape d_in x d_out: the moments of x and of delta."""


class Turns(Section):
    """What the presets of these editors share."""

    gate: list[int] = Field(description="layers whose gate projection is changed (gated MLPs)")
    up: list[int] = Field(description="layers whose projection from the hidden size is changed")
    down: list[int] | Auto = Field(description="layers whose down projection is changed; auto: those in the last third")
    tokens: Literal["all", "answer"] = Field(
        description="all: every token that a gradient reaches; answer: those that predict the new object"
    )
    batch_size: int = Field(ge=1, description="requests of a turn")


def edit_in_turns(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    paths: Sequence[str], settings: Turns, context: Context, solve: Callable[[Rows], Mapping[str, LowRank | Dense]],
) -> Edit:  # fmt: skip
    """The sum of all turns' updates.

    Args:
        paths: the matrices that are changed (`changed_paths`).
        solve: a turn's updates from its tokens, by module path.

    Raises InputError where an update is not finite; NotFiniteError where a gradient is not.
    """
    total = Edit(updates={})
    for start in context.progress(range(0, len(requests), settings.batch_size)):
        items = new_targets(tokenizer, requests[start : start + settings.batch_size])
        with applied(model, total):
            rows = rows_of(model, items, paths, settings.tokens, context.train.micro_batch_tokens)
        updates = solve(rows)
        for path, update in updates.items():
            check_finite(path, update)
        total = compose(total, Edit(updates=updates))
    return total


def changed_paths(model: PreTrainedModel, settings: Turns) -> list[str]:
    """The matrices that are changed. Raises InputError where there is none, no such layer, or no gate."""
    paths = architecture(model)
    count = paths.layers(model)
    span = range(int(_FIRST * count), max(int(_FIRST * count) + 1, int(_LAST * count)))
    down = list(span) if settings.down == "auto" else settings.down
    known_layers(model, [*settings.gate, *settings.up, *down])
    return [
        *(paths.mlp_gate_of(layer) for layer in settings.gate),
        *(paths.mlp_in_of(layer) for layer in settings.up),
        *(paths.mlp_out_of(layer) for layer in down),
    ]


def rows_of(
    model: PreTrainedModel, items: Sequence[Item], paths: Sequence[str], tokens: Literal["all", "answer"],
    micro_batch_tokens: int,
) -> dict[str, tuple[Tensor, Tensor]]:  # fmt: skip
    """x [n, d_in] and delta [n, d_out] of the tokens taken, by path; each item's loss is a mean over its target."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {path: [] for path in paths}
    for indices in batches(items, micro_batch_tokens):
        batch = [items[index] for index in indices]
        signals = signals_of(model, batch, paths, [1 / len(item.targets[0]) for item in batch])
        for path in paths:
            x, delta = signals.inputs[path], signals.gradients[path]
            taken = _taken(signals, path, tokens)
            parts[path].append((x[taken], delta[taken]))
    return {
        path: (torch.cat([x for x, _ in pairs]), torch.cat([delta for _, delta in pairs]))
        for path, pairs in parts.items()
    }


def _taken(signals: Signals, path: str, tokens: Literal["all", "answer"]) -> Tensor:
    """[b, t]: which tokens count."""
    reached = (signals.gradients[path] != 0).any(-1)
    if tokens == "all":
        return reached
    positions = torch.arange(reached.shape[1], device=reached.device)
    first = torch.tensor([len(item.prompt) - 1 for item in signals.items], device=reached.device)
    return reached & (positions >= first[:, None])


def gather(moments: Moments, shapes: Mapping[str, str], rows: Rows) -> None:
    """Take a turn's tokens into the moments of their shape, of all matrices before any is normalised.

    Raises InputError where there are fewer than two tokens to normalise by.
    """
    for path, (x, delta) in rows.items():
        of_x, of_delta = moments[shapes[path]]
        of_x.add(x)
        of_delta.add(delta)
    for path in rows:
        if (count := int(moments[shapes[path]][0].count)) < 2:
            raise InputError(f"{path}: wanted two tokens of edits to normalise by; found {count}")


def least_squares(keys: Tensor, values: Tensor, ridge: Tensor | float) -> LowRank:
    """D = V^T (X X^T + ridge)^-1 X, solved in float64; gradients reach values and ridge.

    Args:
        keys: X [n, d_in].
        values: V [n, d_out], what D is to add where each key comes in.
    """
    wide = keys.double()
    gram = wide @ wide.T + ridge * torch.eye(len(keys), dtype=wide.dtype, device=keys.device)
    left = torch.linalg.solve(gram, values.double()).T.float()
    return LowRank(left=left.contiguous(), right=keys.contiguous())


def smaller_least_squares(keys: Tensor, values: Tensor, ridge: Tensor | float) -> LowRank | Dense:
    """The same on the smaller side: D = V^T X (X^T X + ridge)^-1 where there are as many keys as a side is long."""
    if len(keys) < min(keys.shape[1], values.shape[1]):
        return least_squares(keys, values, ridge)
    wide = keys.double()
    gram = wide.T @ wide + ridge * torch.eye(wide.shape[1], dtype=wide.dtype, device=keys.device)
    return Dense(delta=torch.linalg.solve(gram, wide.T @ values.double()).T.float().contiguous())


def shapes_of(model: PreTrainedModel, paths: Sequence[str]) -> dict[str, str]:
    """By path the shape of its matrix, d_in x d_out."""
    sizes = {path: shape_of(model.get_submodule(path)) for path in paths}
    return {path: f"{d_in}x{d_out}" for path, (d_out, d_in) in sizes.items()}


def new_moments(shapes: Mapping[str, str]) -> dict[str, tuple[RunningMoments, RunningMoments]]:
    """Of no tokens yet, a pair for every different shape."""
    sides = {shape: [int(side) for side in shape.split("x")] for shape in shapes.values()}
    return {shape: (RunningMoments(d_in), RunningMoments(d_out)) for shape, (d_in, d_out) in sides.items()}


def go_on(moments: Moments, state: Mapping[str, Tensor], device: torch.device) -> None:
    """Put the moments on the device, with the values that the edit before this one has left in its state, if any."""
    for shape, pair in moments.items():
        for side, running in zip(("x", "delta"), pair, strict=True):
            stored = {name: state.get(f"{shape}/{side}/{name}", value) for name, value in running.state_dict().items()}
            running.load_state_dict(stored)
            running.to(device)


def state_of(moments: Moments) -> dict[str, Tensor]:
    """Edit.state, from which the next edit of a stream goes on."""
    return {
        f"{shape}/{side}/{name}": value.clone()
        for shape, pair in moments.items()
        for side, running in zip(("x", "delta"), pair, strict=True)
        for name, value in running.state_dict().items()
    }
