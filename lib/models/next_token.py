"""The distribution of the token that follows a text."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.models.check import packed_for
from lib.models.distributions import log_probabilities
from lib.models.likelihood import hidden_states
from lib.models.packing import Item
from lib.models.tokens import prompt_ids


def prompt_items(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[Item]:
    """One item a prompt, for the distribution of the token that follows it."""
    # The packing wants a target: one token, whichever. Only the state that predicts it is used.
    return [Item(prompt=tuple(prompt_ids(tokenizer, prompt)), targets=((0,),)) for prompt in prompts]


@torch.inference_mode()
def next_token(model: PreTrainedModel, items: Sequence[Item]) -> Tensor:
    """Log-probabilities [n, v] of the token after each of prompt_items' items, float32, computed in one pass."""
    hidden = hidden_states(model, packed_for(model, items))  # [n, d]
    return log_probabilities(model.get_output_embeddings(), hidden)
