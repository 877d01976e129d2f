"""AlphaEdit: updates in the null space of what is to stay (arXiv 2410.02355).

In a sequential run the keys of earlier batches are kept as well: Edit.state has their K K^T for every layer.
"""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.locating import layered
from lib.methods.locating.layered import (
    Layered,
    alphaedit_keys,
    derived_null_space,
    layers_of,
    null_space_of,
    request_keys,
    solve,
)
from lib.methods.locating.second_moments import load_moment
from lib.models.architecture import architecture

NEEDS = Needs(second_moments=True, prepares=True, derived=True)


class Settings(Layered):
    """configs/editors/alphaedit.yaml"""

    threshold: float = Field(gt=0, description="eigenvalues of the second moment below it span the null space")
    ridge: float = Field(gt=0, description="L2: weight of the identity")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Raises FileNotFoundError without second moments; InputError for a request without subject, or a conflict."""
    arch = architecture(model)

    def earlier(layer: int, size: int) -> Any:
        products = context.state.get(arch.mlp_out_of(layer))
        if products is None:
            return torch.zeros(size, size, dtype=torch.float64, device=model.device)
        return products.to(model.device).double()

    def adjusted(layer: int, keys: Any) -> Any:
        second_moment = load_moment(context.statistics, arch.mlp_out_of(layer))
        projection = null_space_of(second_moment, settings.threshold, keys.device)
        return alphaedit_keys(projection, keys, earlier(layer, len(keys)), settings.ridge)

    solved = solve(model, tokenizer, requests, settings, adjusted, "alphaedit", context)
    state = {}
    with applied(model, solved.edit):  # as released: the cached keys are those of the edited model
        for layer in solved.layers:
            keys = request_keys(model, tokenizer, requests, arch, layer, solved.contexts, settings)
            state[arch.mlp_out_of(layer)] = (earlier(layer, len(keys)) + keys @ keys.T).float().cpu()
    return Edit(updates=solved.edit.updates, state=state, info=solved.edit.info)


def prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, context: Context
) -> Sequence[Sequence[str]]:
    """The contexts of all edits of a run."""
    return layered.prepare(model, tokenizer, settings)


def derive(moment: Tensor, settings: Settings) -> dict[str, Tensor]:
    """The projection onto the null space, once a model: an eigendecomposition, which grows as d_in^3."""
    return derived_null_space(moment, settings.threshold)


def moment_layers(model: PreTrainedModel, settings: Settings) -> list[int]:
    """The layers that are changed."""
    return layers_of(model, settings)
