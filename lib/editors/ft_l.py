"""FT-L: fine-tuning of one MLP down projection, no entry of which may move further than a bound.

The constrained baseline of ROME (arXiv 2202.05262), after arXiv 2012.00363: an L-infinity ball around the weights.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.fine_tuning.each import fine_tuned_each, size_each
from lib.methods.fine_tuning.loop import Tuning, fine_tuned

NEEDS = Needs(edit_each=True, size_each=True)
__all__ = ["NEEDS", "Settings", "edit", "edit_each", "size_each"]


class Settings(Tuning):
    """configs/editors/ft_l.yaml"""

    clamp: float = Field(gt=0, description="the furthest that an entry of weight or bias may move; after every batch")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Train the chosen layers on the requests alone, within the bound.

    Raises InputError where there is no request or no such layer; NotFiniteError where the loss is not finite.
    """
    trained = fine_tuned(model, tokenizer, requests, settings, context, clamp=settings.clamp)
    return replace(trained, info={"editor": "ft_l", "pairs": len(requests)})


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone; forward passes are shared where one module is trained."""
    trained = fine_tuned_each(model, tokenizer, requests, settings, context, clamp=settings.clamp)
    return [replace(each, info={"editor": "ft_l", "pairs": 1}) for each in trained]
