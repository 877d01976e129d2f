"""Distributions of the next token, as log-probabilities over the vocabulary, and how far two are apart."""

from collections.abc import Callable

from torch import Tensor

Head = Callable[[Tensor], Tensor]
"""Logits [..., v] of final hidden states [..., d]."""


def log_probabilities(head: Head, states: Tensor) -> Tensor:
    """log p of every token after these final hidden states [..., d]: [..., v] float32."""
    return head(states).float().log_softmax(-1)


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sum over v of p(v) (log p(v) - log q(v)) of log-distributions [..., v], in nats: [...].

    Rounding may make it negative by some 1e-7.
    """
    return (log_p.exp() * (log_p - log_q)).sum(-1)
