"""FT-W: fine-tuning of a whole block with a weight decay that falls with the number of edits (arXiv 2210.07229)."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.fine_tuning.loop import Tuning, fine_tuned

NEEDS = Needs()


class Settings(Tuning):
    """configs/editors/ft_w.yaml"""

    decay: Literal["corrected", "published"] = Field(
        description="corrected: weight decay n^power * e^log_scale for n requests; published: none, which is what the "
        "release computes, since its law is never applied"
    )
    power: float = Field(description="of the number of requests")
    log_scale: float = Field(description="natural logarithm of the weight decay of a single request")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Train the chosen layers on the requests alone.

    Raises InputError where there is no request or no such layer; NotFiniteError where the loss is not finite.
    """
    decay = weight_decay(len(requests), settings)
    trained = fine_tuned(model, tokenizer, requests, settings, context, weight_decay=decay)
    return replace(trained, info={"editor": "ft_w", "pairs": len(requests), "weight_decay": decay})


def weight_decay(requests: int, settings: Settings) -> float:
    """Adam's weight decay for this many requests (at least one)."""
    if settings.decay == "published" or not requests:
        return 0.0
    return float(requests**settings.power * math.exp(settings.log_scale))
