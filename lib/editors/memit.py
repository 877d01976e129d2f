"""MEMIT: many facts at once, spread over several layers (arXiv 2210.07229)."""

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
from lib.methods.locating.layered import Layered, layers_of, memit_keys, solve
from lib.methods.locating.second_moments import load_moment
from lib.models.architecture import architecture

NEEDS = Needs(second_moments=True, prepares=True)


class Settings(Layered):
    """configs/editors/memit.yaml"""

    moments: bool = Field(description="false: the identity in place of the second moment, as RECT's release has it")
    moment_weight: float = Field(gt=0, description="lambda: how much the keys of ordinary text weigh")


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
        if settings.moments:
            moment = load_moment(context.statistics, arch.mlp_out_of(layer)).moment.to(keys.device).double()
        else:
            moment = torch.eye(len(keys), dtype=keys.dtype, device=keys.device)
        return memit_keys(moment, keys, settings.moment_weight)

    return solve(model, tokenizer, requests, settings, adjusted, "memit", context).edit


def prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, context: Context
) -> Sequence[Sequence[str]]:
    """The contexts of all edits of a run."""
    return layered.prepare(model, tokenizer, settings)


def moment_layers(model: PreTrainedModel, settings: Settings) -> list[int]:
    """The layers that are changed."""
    return layers_of(model, settings) if settings.moments else []
