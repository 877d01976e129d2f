"""EMMET: a batch of facts as equality constraints, the batched form of ROME (arXiv 2403.14236)."""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.locating import layered
from lib.methods.locating.layered import Layered, emmet_keys, layers_of, solve
from lib.methods.locating.second_moments import load_moment
from lib.models.architecture import architecture

NEEDS = Needs(second_moments=True, prepares=True)


class Settings(Layered):
    """configs/editors/emmet.yaml"""

    moment_weight: float = Field(gt=0, description="factor of the second moment")
    moment_ridge: float = Field(ge=0, description="added to its diagonal")
    ridge: float = Field(ge=0, description="added to the diagonal of K^T C^-1 K, also for a single request")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Raises FileNotFoundError without second moments; InputError for a request without subject, or a conflict."""
    arch = architecture(model)

    def adjusted(layer: int, keys: Any) -> Any:
        moment = load_moment(context.statistics, arch.mlp_out_of(layer)).moment.to(keys.device).double()
        eye = torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
        return emmet_keys(settings.moment_weight * moment + settings.moment_ridge * eye, keys, settings.ridge)

    return solve(model, tokenizer, requests, settings, adjusted, "emmet", context).edit


def prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, context: Context
) -> Sequence[Sequence[str]]:
    """The contexts of all edits of a run."""
    return layered.prepare(model, tokenizer, settings)


def moment_layers(model: PreTrainedModel, settings: Settings) -> list[int]:
    """The layers that are changed."""
    return layers_of(model, settings)
