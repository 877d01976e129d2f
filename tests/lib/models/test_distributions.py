"""Log-probabilities of a head, and KL between them."""

import math

import pytest
import torch

from lib.models.distributions import kl_divergence, log_probabilities


def test_half_and_half_against_a_quarter_is_a_known_number() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert kl_divergence(p, q).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-6)
    assert kl_divergence(q, p).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-6)


def test_it_is_torchs_own_value_and_gradient_in_every_bit() -> None:
    torch.manual_seed(0)
    p, q = torch.randn(5, 7).log_softmax(-1), torch.randn(5, 7).requires_grad_()
    torch_kl = torch.nn.functional.kl_div(q.log_softmax(-1), p, reduction="none", log_target=True).sum(-1)
    kl = kl_divergence(p, q.log_softmax(-1))
    assert torch.equal(kl, torch_kl)
    assert torch.equal(*(torch.autograd.grad(value.sum(), q)[0] for value in (kl, torch_kl)))


def test_log_probabilities_are_float32_and_sum_to_one_whatever_the_heads_dtype() -> None:
    head, states = torch.nn.Linear(4, 6, dtype=torch.bfloat16), torch.randn(2, 3, 4, dtype=torch.bfloat16)
    log_p = log_probabilities(head, states)
    assert (log_p.dtype, log_p.shape) == (torch.float32, (2, 3, 6))
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(2, 3))
