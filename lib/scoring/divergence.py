"""KL divergence of the next-token distribution on prompts that an edit should leave alone.

    KL(p || q) = sum over the vocabulary of p (ln p - ln q)      nats

with p the next-token distribution of the unedited model after the prompt's last token and q that of the edited model
("Detecting Edit Failures", Hoelscher-Obermaier et al. 2023, arXiv 2305.17553, on CounterFact's neighborhood prompts).
Unlike a comparison of two answers it sees every change of the distribution.
"""

from collections.abc import Sequence

from torch import Tensor
from transformers import PreTrainedModel

from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.models.next_token import next_token
from lib.models.packing import Item


def divergences(model: PreTrainedModel, edit: Edit, unedited: Sequence[Item], edited: Sequence[Item]) -> list[float]:
    """KL of the unedited from the edited next-token distribution after each prompt, in nats, at least 0.

    The prompts are one batch: their distributions [n, v] are held, those of the unedited model while `edit` is applied.
    `edited` are the same prompts as `unedited`, with the edit's context before them where it is one.
    """
    log_p = next_token(model, unedited)
    with applied(model, edit):
        log_q = next_token(model, edited)
    values: list[float] = divergence(log_p, log_q).tolist()
    return values


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) [n] of log-distributions [n, v], in nats; rounding does not make it negative."""
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp(min=0)
