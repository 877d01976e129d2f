"""KL divergence of the next-token distribution on prompts that an edit should leave alone.

    KL(p || q) = sum over the vocabulary of p (ln p - ln q)      nats

with p the next-token distribution of the unedited model after the prompt's last token and q that of the edited model
("Detecting Edit Failures", Hoelscher-Obermaier et al. 2023, arXiv 2305.17553, on CounterFact's neighborhood prompts).
Unlike a comparison of two answers it sees every change of the distribution.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.models.likelihood import HEAD_CHUNK, hidden_states
from lib.models.packing import Item, batches, pack
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


def divergences(model: PreTrainedModel, edit: Edit, unedited: Sequence[Item], edited: Sequence[Item]) -> list[float]:
    """KL of the unedited from the edited next-token distribution after each prompt, in nats, at least 0.

    The prompts are one batch: their distributions [n, v] are held, those of the unedited model while `edit` is applied.
    `edited` are the same prompts as `unedited`, with the edit's context before them where it is one.
    """
    log_p = _next_token(model, unedited)
    with applied(model, edit):
        log_q = _next_token(model, edited)
    values: list[float] = divergence(log_p, log_q).tolist()
    return values


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) [n] of log-distributions [n, v], in nats; rounding does not make it negative."""
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp(min=0)


@torch.inference_mode()
def _next_token(model: PreTrainedModel, items: Sequence[Item]) -> Tensor:
    """Log-probabilities [n, v] of the token after each prompt, float32."""
    hidden = hidden_states(model, pack(items).to(model.device))  # [n, d]
    log_p: Tensor = model.get_output_embeddings()(hidden).float().log_softmax(-1)
    return log_p
