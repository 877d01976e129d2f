"""ROME: one fact as a rank-one update of one MLP (arXiv 2202.05262); several, one after another."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.locating import rank_one

NEEDS = Needs(second_moments=True, edit_each=True, prepares=True)


class Settings(rank_one.RankOne):
    """configs/editors/rome.yaml"""


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Raises FileNotFoundError without second moments; InputError without subject, or where the divisor vanishes."""
    return rank_one.edit_all(model, tokenizer, requests, settings, context, keys="rome", name="rome")


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """Every request alone on the model as it is; raises as `edit` does."""
    return rank_one.edit_each(model, tokenizer, requests, settings, context, keys="rome", name="rome")


def prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, context: Context
) -> rank_one.Prepared:
    """The factored second moment and the contexts, for all edits of a run."""
    return rank_one.prepare(model, tokenizer, settings, context)


def moment_layers(model: PreTrainedModel, settings: Settings) -> list[int]:
    """The layer that is changed."""
    return [rank_one.layer_of(model, settings)] if settings.moments else []
