"""UltraEdit: an update in closed form from hidden states and their gradients ("UltraEdit", arXiv 2505.14679).

Of every token of an edit and every chosen matrix, x enters the matrix and delta is the gradient of the edit's loss at
its output. Both are normalised, entry by entry, by the mean and the standard deviation over all tokens of all turns so
far (lifelong normalisation; matrices of one shape share them, as released). With x^ and delta^ the normalised ones, the
update D is to add v = -rate * |x^|^2 * delta^ to the output wherever x comes in, least squares with a ridge of 1:

    D = V^T X (X^T X + 1)^-1 = V^T (X X^T + 1)^-1 X

X [n, d_in] has the tokens' x as rows, V [n, d_out] their v. Nothing is trained, no subject is needed, and nothing is
kept but the two moments of each shape. A turn is a batch of `batch_size` requests; the next turn takes its gradients on
the model as edited by the ones before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from lib.methods.contract import Needs
from lib.methods.hypernets.moments import RunningMoments
from lib.methods.hypernets.network import Signals, new_targets, signals_of
from lib.methods.locating.places import known_layers
from lib.models.architecture import architecture
from lib.models.packing import Item, batches

NEEDS = Needs()
_FIRST, _LAST = 0.64, 0.96
"""Layers that auto takes, as shares of the depth: those of GPT-J's published range (18 to 26 of 28)."""
Moments = dict[str, tuple[RunningMoments, RunningMoments]]
"""By shape d_in x d_out: the moments of x and of delta."""


class Settings(Section):
    """configs/editors/ultraedit.yaml"""

    gate: list[int] = Field(description="layers whose gate projection is changed (gated MLPs)")
    up: list[int] = Field(description="layers whose projection from the hidden size is changed")
    down: list[int] | Auto = Field(description="layers whose down projection is changed; auto: those in the last third")
    rate: float = Field(gt=0, description="how much of the normalised gradient is taken off, for a unit of |x^|^2")
    tokens: Literal["all", "answer"] = Field(
        description="all: every token that a gradient reaches, as released; answer: those that predict the new object, "
        "as the paper says"
    )
    batch_size: int = Field(ge=1, description="requests of a turn")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """The sum of all turns' updates; the moments go on from those of context.state.

    Raises InputError where there is no matrix or no such layer, fewer than two tokens to normalise by, or an update is
    not finite; NotFiniteError where a gradient is not finite.
    """
    paths = changed_paths(model, settings)
    moments = _moments(model, paths, context.state)
    total = Edit(updates={})
    for start in context.progress(range(0, len(requests), settings.batch_size)):
        items = new_targets(tokenizer, requests[start : start + settings.batch_size])
        with applied(model, total):
            rows = _rows(model, items, paths, settings, context.train.micro_batch_tokens)
        total = compose(total, _turn(rows, {path: _shape(model, path) for path in paths}, moments, settings.rate))
    return replace(total, state=_state(moments), info={"editor": "ultraedit", "pairs": len(requests)})


def changed_paths(model: PreTrainedModel, settings: Settings) -> list[str]:
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


def _rows(
    model: PreTrainedModel, items: Sequence[Item], paths: Sequence[str], settings: Settings, tokens: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """x [n, d_in] and delta [n, d_out] of the tokens taken, by path."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {path: [] for path in paths}
    for indices in batches(items, tokens):
        batch = [items[index] for index in indices]
        signals = signals_of(model, batch, paths, [1 / len(item.targets[0]) for item in batch])
        for path in paths:
            x, delta = signals.inputs[path], signals.gradients[path]
            taken = _taken(signals, path, settings.tokens)
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


def _turn(
    rows: Mapping[str, tuple[Tensor, Tensor]], shapes: Mapping[str, str], moments: Moments, rate: float
) -> Edit:  # fmt: skip
    """One turn's updates, after its tokens were taken into the moments of their shape."""
    for path, (x, delta) in rows.items():
        of_x, of_delta = moments[shapes[path]]
        of_x.add(x)
        of_delta.add(delta)
    updates: dict[str, LowRank | Dense] = {}
    for path, (x, delta) in rows.items():
        of_x, of_delta = moments[shapes[path]]
        if of_x.count < 2:
            raise InputError(f"ultraedit: {path}: wanted two tokens to normalise by; found {int(of_x.count)}")
        updates[path] = closed_form(x, of_x.normalised(x), of_delta.normalised(delta), rate)
        check_finite(path, updates[path])
    return Edit(updates=updates)


def closed_form(x: Tensor, normal_x: Tensor, normal_delta: Tensor, rate: float) -> LowRank | Dense:
    """D = V^T X (X^T X + 1)^-1, solved in float64 on the smaller side.

    Args:
        x: [n, d_in]
        normal_x: the same, normalised.
        normal_delta: [n, d_out], normalised.
        rate: the step for a unit of |x^|^2.
    """
    v = -rate * normal_x.double().square().sum(dim=1, keepdim=True) * normal_delta.double()
    keys = x.double()
    if len(keys) < min(keys.shape[1], v.shape[1]):
        gram = keys @ keys.T + torch.eye(len(keys), dtype=keys.dtype, device=keys.device)
        return LowRank(left=torch.linalg.solve(gram, v).T.float().contiguous(), right=x.contiguous())
    gram = keys.T @ keys + torch.eye(keys.shape[1], dtype=keys.dtype, device=keys.device)
    return Dense(delta=torch.linalg.solve(gram, keys.T @ v).T.float().contiguous())


def _shape(model: PreTrainedModel, path: str) -> str:
    d_out, d_in = shape_of(model.get_submodule(path))
    return f"{d_in}x{d_out}"


def _moments(model: PreTrainedModel, paths: Sequence[str], state: Mapping[str, Tensor]) -> Moments:
    """Those of the turns before, from the state of the edit before this one; new ones where there is none."""
    moments: Moments = {}
    for path in paths:
        d_out, d_in = shape_of(model.get_submodule(path))
        moments[_shape(model, path)] = RunningMoments(d_in), RunningMoments(d_out)
    for shape, pair in moments.items():
        for side, running in zip(("x", "delta"), pair, strict=True):
            stored = {name: state.get(f"{shape}/{side}/{name}", value) for name, value in running.state_dict().items()}
            running.load_state_dict(stored)
            running.to(model.device)
    return moments


def _state(moments: Moments) -> dict[str, Tensor]:
    return {
        f"{shape}/{side}/{name}": value.clone()
        for shape, pair in moments.items()
        for side, running in zip(("x", "delta"), pair, strict=True)
        for name, value in running.state_dict().items()
    }
