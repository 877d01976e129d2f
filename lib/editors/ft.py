"""FT: fine-tuning of one MLP down projection, without a constraint (the baseline of arXiv 2202.05262 and 2210.07229).

`layers: [21]` is the row "FT layer 21" of arXiv 2402.11078.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.fine_tuning.each import fine_tuned_each
from lib.methods.fine_tuning.loop import Tuning, copies, fine_tuned

NEEDS = Needs(edit_each=True, size_each=True)


class Settings(Tuning):
    """configs/editors/ft.yaml"""

    weight_decay: float = Field(ge=0, description="of Adam: this share of the weights is added to the gradient")


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
    trained = fine_tuned(model, tokenizer, requests, settings, context, weight_decay=settings.weight_decay)
    return replace(trained, info={"editor": "ft", "pairs": len(requests)})


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone; forward passes are shared where one module is trained."""
    trained = fine_tuned_each(model, tokenizer, requests, settings, context, weight_decay=settings.weight_decay)
    return [replace(each, info={"editor": "ft", "pairs": 1}) for each in trained]


def size_each(model: PreTrainedModel, settings: Settings, context: Context) -> int:
    """Trained values of one edit."""
    return sum(value.numel() for value in copies(model, settings).values())
