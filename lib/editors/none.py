"""No editor: the unedited model, so that every table has its base row."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Section
from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs

NEEDS = Needs(sharded=True, weightless=True)


class Settings(Section):
    """configs/editors/none.yaml: nothing to set."""


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """An edit that changes nothing."""
    return Edit(updates={}, info={"editor": "none"})
