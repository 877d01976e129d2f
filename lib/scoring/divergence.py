"""Specificity: how far an edit moves what a model says next on prompts that it should leave alone.

    KL(p || q) = sum over the vocabulary of p (ln p - ln q)      nats

with p the next-token distribution of the unedited model after the prompt's last token and q that of the edited model
("Detecting Edit Failures", Hoelscher-Obermaier et al. 2023, arXiv 2305.17553, on CounterFact's neighborhood prompts).
Unlike a comparison of two answers it sees every change of the distribution.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.models.likelihood import HEAD_CHUNK, hidden_states
from lib.models.packing import Item, batches, pack
from lib.models.tokens import prompt_ids


def ends(tokenizer: Any, prompts: Sequence[str]) -> list[Item]:
    """One item a prompt, to ask what comes next."""
    # One target token a prompt, whichever: only the state that predicts it is of use.
    return [Item(prompt=tuple(prompt_ids(tokenizer, prompt)), targets=((0,),)) for prompt in prompts]


def cut(items: Sequence[Item], micro_batch_tokens: int) -> list[list[int]]:
    """The places of `items` in batches of about `micro_batch_tokens`, the longest first, none beyond HEAD_CHUNK."""
    found = batches(items, micro_batch_tokens, sorted(range(len(items)), key=lambda place: -items[place].length))
    return [one[start : start + HEAD_CHUNK] for one in found for start in range(0, len(one), HEAD_CHUNK)]


def divergences(model: Any, edit: Edit, unedited: Sequence[Item], edited: Sequence[Item]) -> list[float]:
    """KL of the unedited from the edited next-token distribution after each prompt, in nats, at least 0.

    The prompts are one batch: their distributions [n, v] are held, those of the unedited model while `edit` is applied.
    `edited` are the same prompts, with the edit's context before them where it is one.
    """
    log_p = _next_token(model, unedited)
    with applied(model, edit):
        log_q = _next_token(model, edited)
    found: list[float] = divergence(log_p, log_q).tolist()
    return found


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) [n] of log-distributions [n, v], in nats; rounding does not make it negative."""
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp(min=0)


@torch.inference_mode()
def _next_token(model: Any, items: Sequence[Item]) -> Tensor:
    """Log-probabilities [n, v] of the token after each prompt, float32."""
    hidden = hidden_states(model, pack(items).to(model.device))  # [n, d]
    log_p: Tensor = model.get_output_embeddings()(hidden).float().log_softmax(-1)
    return log_p
