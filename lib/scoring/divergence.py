"""KL divergence of the next-token distribution on prompts that an edit should leave alone.

    KL(p || q) = sum over the vocabulary of p (ln p - ln q)      nats

with p the next-token distribution of the unedited model after the prompt's last token and q that of the edited model
("Detecting Edit Failures", Hoelscher-Obermaier et al. 2023, arXiv 2305.17553, on CounterFact's neighborhood prompts).
Unlike a comparison of two answers it sees every change of the distribution.
"""

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.edits.edit import Edit
from lib.models.distributions import Head, kl_divergence, log_probabilities
from lib.models.likelihood import HEAD_CHUNK


def head_of(model: PreTrainedModel, edit: Edit) -> Head:
    """The model's head as it is now, which it also is while `edit` is applied: a copy where the edit changes it."""
    head: nn.Module = model.get_output_embeddings()
    path = next(path for path, module in model.named_modules() if module is head)
    changed = {name for name in edit.updates if name == path or name.startswith(f"{path}.")}
    return copy.deepcopy(head) if changed or path in edit.memories else head


@torch.inference_mode()
def divergences(unedited: Head, unedited_states: Tensor, edited: Head, edited_states: Tensor) -> list[float]:
    """KL of the unedited from the edited next-token distribution after each prompt, in nats, at least 0.

    Of each model its head and the final hidden states [n, d] after the prompts; distributions [n, v] are made of at
    most HEAD_CHUNK states at a time.
    """
    values: list[float] = []
    for before, after in zip(*(torch.split(states, HEAD_CHUNK) for states in (unedited_states, edited_states)),
                             strict=True):  # fmt: skip
        kl = kl_divergence(log_probabilities(unedited, before), log_probabilities(edited, after))
        values += kl.clamp(min=0).tolist()
    return values
