"""What a hyper-network is trained to lower: the new target's -log p, and what edits do to other facts' targets."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.models.distributions import kl_divergence, log_probabilities
from lib.models.likelihood import hidden_states
from lib.models.packing import Packed


def target_log_p(model: PreTrainedModel, packed: Packed) -> Tensor:
    """Log-probabilities of all tokens where a target token is predicted: [n, v] float32."""
    return log_probabilities(model.get_output_embeddings(), hidden_states(model, packed))


def target_nll(model: PreTrainedModel, packed: Packed) -> Tensor:
    """-log p of each target, mean over its tokens and over targets: []."""
    log_p = target_log_p(model, packed)
    return mean_by_target(-log_p.gather(1, packed.label[:, None])[:, 0], packed)


def target_kl(before: Tensor, after: Tensor, packed: Packed) -> Tensor:
    """KL(before || after) where a target token is predicted, mean over a target's tokens and over targets: [].

    Args:
        before: log-probabilities as `target_log_p` gives them, [n, v]; so `after`.
    """
    return mean_by_target(kl_divergence(before, after), packed)


def mean_by_target(values: Tensor, packed: Packed) -> Tensor:
    """Mean over targets of the mean over a target's tokens."""
    counts = torch.bincount(packed.owner, minlength=packed.targets)
    return (values / counts[packed.owner]).sum() / packed.targets
