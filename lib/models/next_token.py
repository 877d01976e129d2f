"""The distribution of the token that follows a text."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.models.check import packed_for
from lib.models.likelihood import HEAD_CHUNK, hidden_states
from lib.models.packing import Item, batches
from lib.models.tokens import prompt_ids


def prompt_items(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[Item]:
    """One item a prompt, for the distribution of the token that follows it."""
    # The packing wants a target: one token, whichever. Only the state that predicts it is used.
    return [Item(prompt=tuple(prompt_ids(tokenizer, prompt)), targets=((0,),)) for prompt in prompts]


def prompt_batches(items: Sequence[Item], micro_batch_tokens: int) -> list[list[int]]:
    """Indices of `items` in batches of about `micro_batch_tokens`, the longest first, at most HEAD_CHUNK a batch."""
    order = sorted(range(len(items)), key=lambda index: -items[index].length)
    return [
        batch[start : start + HEAD_CHUNK]
        for batch in batches(items, micro_batch_tokens, order)
        for start in range(0, len(batch), HEAD_CHUNK)
    ]


@torch.inference_mode()
def next_token(model: PreTrainedModel, items: Sequence[Item]) -> Tensor:
    """Log-probabilities [n, v] of the token after each of prompt_items' items, float32, computed in one pass."""
    hidden = hidden_states(model, packed_for(model, items))  # [n, d]
    log_p: Tensor = model.get_output_embeddings()(hidden).float().log_softmax(-1)
    return log_p
