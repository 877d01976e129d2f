"""LocFT-BF: localized fine-tuning, breadth first ("Fine-tuning Done Right in Model Editing", arXiv 2509.22072).

The loss of a request is the mean of -log p over the tokens of its new object and, with `end_token`, of the end of the
text behind it, so that the model stops once it has answered. It is minimised by Adam over one matrix alone: the MLP's
down projection in one layer.

order breadth    epochs over all requests, each in an order of its own, in batches of `batch_size`: the paper's method
order depth      batch after batch, each trained with an optimizer of its own until its loss is below `min_loss` or
                 `epochs` steps are made, before the next begins; with batch_size 1 it is what the paper names as the
                 reason why fine-tuning was held to fail
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.fine_tuning.each import fine_tuned_each, size_each
from lib.methods.fine_tuning.items import training_items
from lib.methods.fine_tuning.loop import BASELINE, Tuning, Variant, copies, edit_of, fit
from lib.methods.training.loop import Step
from lib.methods.training.pairs import ended
from lib.models.packing import Item
from lib.models.templates import chat_item, has_template

NEEDS = Needs(edit_each=True, size_each=True, seeded=True)
__all__ = ["NEEDS", "Settings", "edit", "edit_each", "size_each"]


class Settings(Tuning):
    """configs/editors/loc_ft.yaml"""

    order: Literal["breadth", "depth"] = Field(
        description="breadth: epochs over all requests; depth: a batch to its end, then the next"
    )
    end_token: bool = Field(description="the end of the text is trained on after the new object")
    chat: bool = Field(
        description="the prompt is trained on as a user's message in the chat template, and the new object as its "
        "answer, where the model has a template: for prompts that are questions"
    )


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Train the chosen matrix on the requests alone, in the settings' order.

    Raises InputError where there is no request or no such layer, NotFiniteError where the loss is not finite.
    """
    if not requests:
        raise InputError("loc_ft: wanted at least one request, found none")
    items = _items(tokenizer, requests, settings)
    values = copies(model, settings)
    steps: list[Step] = []
    if settings.order == "breadth":
        variant = Variant(shuffle_seed=context.train.seed)
        steps = fit(model, values, items, settings, context, 0.0, None, variant)
    else:
        starts = range(0, len(items), settings.batch_size)
        alone = replace(context.quiet(), checkpoints=None)  # each batch trains anew from where the one before it ended
        for start in context.progress(starts):
            batch = items[start : start + settings.batch_size]
            steps += fit(model, values, batch, settings, alone, 0.0, None, BASELINE)
    context.record([replace(step, step=number) for number, step in enumerate(steps)])
    return replace(edit_of(model, values), info={"editor": "loc_ft", "pairs": len(requests), "steps": len(steps)})


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone, for which both orders are one; forward passes are shared for one module."""
    if settings.module != "mlp_out":
        return [edit(model, tokenizer, [request], settings, context.of([request])) for request in requests]
    items = _items(tokenizer, requests, settings)
    trained = fine_tuned_each(model, tokenizer, requests, settings, context, items=items)
    return [replace(own, info={"editor": "loc_ft", "pairs": 1}) for own in trained]


def _items(tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings) -> list[Item]:
    """What is trained on of every request."""
    if settings.chat and has_template(tokenizer):
        items = [chat_item(tokenizer, request.prompt, [request.target_new]) for request in requests]
    else:
        items = training_items(tokenizer, requests, settings)
    return [ended(item, tokenizer.eos_token_id) for item in items] if settings.end_token else items
