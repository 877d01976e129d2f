"""FT: fine-tuning of one MLP down projection, without a constraint (the baseline of arXiv 2202.05262 and 2210.07229).

`layers: [21]` with `objective: sentence` is the row "FT (21st layer)" of arXiv 2402.11078. `module: all` with
`pairs: all`, `decoupled: true` and `dropout: true` is what its release does for the row "FT + Mask + Para + Sim" of
single editing: every parameter is trained on the edit, its paraphrases and its neighbors.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.fine_tuning.each import fine_tuned_each, size_each
from lib.methods.fine_tuning.loop import Tuning, Variant, fine_tuned

NEEDS = Needs(edit_each=True, size_each=True, seeded=True)
__all__ = ["NEEDS", "Settings", "edit", "edit_each", "size_each"]


class Settings(Tuning):
    """configs/editors/ft.yaml"""

    weight_decay: float = Field(ge=0, description="of Adam: this share of the weights is added to the gradient")
    decoupled: bool = Field(description="true: AdamW, whose weight decay is apart from the gradient")
    pairs: Literal["requests", "all"] = Field(
        description="all: paraphrases and neighbors are trained on too (batch_size counts them), and the loss is the "
        "mean over a batch's target tokens"
    )
    dropout: bool = Field(description="true: the model's own dropout is on in training, seeded by train.seed")


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
    trained = fine_tuned(
        model, tokenizer, requests, settings, context, weight_decay=settings.weight_decay,
        variant=_variant(settings, context),
    )  # fmt: skip
    return replace(trained, info={"editor": "ft", "pairs": _count(requests, settings, context)})


def _variant(settings: Settings, context: Context) -> Variant:
    return Variant(
        with_pairs=settings.pairs == "all",
        decoupled=settings.decoupled,
        dropout_seed=context.train.seed if settings.dropout else None,
    )


def _count(requests: Sequence[Request], settings: Settings, context: Context) -> int:
    """How many pairs of prompt and target are trained on."""
    more = len(context.paraphrases) + len(context.neighbors) if settings.pairs == "all" else 0
    return len(requests) + more


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone; forward passes are shared where one module is trained on the requests alone."""
    trained = fine_tuned_each(
        model, tokenizer, requests, settings, context, weight_decay=settings.weight_decay,
        variant=_variant(settings, context),
    )  # fmt: skip
    pairs = [_count([request], settings, context.of([request])) for request in requests]
    return [
        replace(own, info={"editor": "ft", "pairs": count}) for own, count in zip(trained, pairs, strict=True)
    ]  # fmt: skip
