"""BetaEdit: null-space updates for long sequences (arXiv 2605.09285).

AlphaEdit's projection P is of an approximate null space, so that updates leak into what is to stay. BetaEdit adds the
leak to what is minimised, with C the second moment of the keys of ordinary text, and computes P anew every `refresh`
edits, of C and the keys of the edits so far, Kp of t edits:

    A = [P (K K^T + Kp Kp^T + leakage C) + ridge I]^-1 P K
    P is the null space of (Kp Kp^T / t + leakage C) / (leakage + 1), at first of C

Edit.state has Kp Kp^T and P of every layer, and how many edits there were, now and when P was computed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.locating import layered
from lib.methods.locating.layered import (
    Layered,
    alphaedit_keys,
    derived_null_space,
    layers_of,
    null_space,
    null_space_of,
    solve,
)
from lib.methods.locating.second_moments import load_moment
from lib.models.architecture import architecture

NEEDS = Needs(second_moments=True, prepares=True, derived=True)
_EDITS = "edits"
"""State: two counts, of the edits so far and of those when the projections were computed."""


class Settings(Layered):
    """configs/editors/betaedit.yaml"""

    threshold: float = Field(gt=0, description="eigenvalues of what is to stay below it span the null space")
    ridge: float = Field(gt=0, description="lambda2: weight of the identity")
    leakage: float = Field(gt=0, description="lambda1: weight of the second moment, into which updates leak")
    refresh: int = Field(ge=1, description="tau: edits after which the projection is computed anew")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Raises FileNotFoundError without second moments; InputError for a request without subject, or a conflict."""
    arch = architecture(model)
    done, computed = context.state[_EDITS].tolist() if _EDITS in context.state else (0, 0)
    is_due = done - computed >= settings.refresh
    state: dict[str, Tensor] = {_EDITS: torch.tensor([done + len(requests), done if is_due else computed])}

    def adjusted(layer: int, keys: Any) -> Any:
        path, name = arch.mlp_out_of(layer), _projection(arch.mlp_out_of(layer))
        second_moment = load_moment(context.statistics, path)
        moment = second_moment.moment.to(keys.device).double()
        earlier = context.state.get(path, torch.zeros_like(moment)).to(keys.device).double()
        if is_due:
            projection = null_space(protected(moment, earlier, done, settings.leakage), settings.threshold)
        elif name in context.state:
            projection = context.state[name].to(keys.device).double()
        else:
            projection = null_space_of(second_moment, settings.threshold, keys.device)
        if is_due or name in context.state:  # else it is that of the second moment
            state[name] = projection.float().cpu()
        state[path] = (earlier + keys @ keys.T).float().cpu()
        return alphaedit_keys(projection, keys, earlier + settings.leakage * moment, settings.ridge)

    solved = solve(model, tokenizer, requests, settings, adjusted, "betaedit", context)
    return Edit(updates=solved.edit.updates, state=state, info=solved.edit.info)


def protected(moment: Tensor, earlier: Tensor, edits: int, leakage: float) -> Tensor:
    """(Kp Kp^T / t + leakage C) / (leakage + 1) of t edits, which are at least one: [d_in, d_in]"""
    return (earlier / edits + leakage * moment) / (leakage + 1)


def prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, context: Context
) -> Sequence[Sequence[str]]:
    """The contexts of all edits of a run."""
    return layered.prepare(model, tokenizer, settings)


def derive(moment: Tensor, settings: Settings) -> dict[str, Tensor]:
    """The projection onto the null space of the second moment, once a model."""
    return derived_null_space(moment, settings.threshold)


def moment_layers(model: PreTrainedModel, settings: Settings) -> list[int]:
    """The layers that are changed."""
    return layers_of(model, settings)


def _projection(path: str) -> str:
    """The name of a matrix's projection in the state."""
    return f"{path}/{layered.NULL_SPACE}"
