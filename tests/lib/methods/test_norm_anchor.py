"""Norm-Anchor Scaling (arXiv 2602.02543): lengths on small matrices, and what an edit's values become."""

from typing import Any

import pytest
import torch

from lib.editors import memit
from lib.methods.locating.layered import anchored, reference_norm
from lib.models.architecture import architecture
from tests.helpers.baselines import REQUESTS, context, settings
from tests.helpers.contract import QUICK
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.updates import dense


def test_a_value_keeps_its_direction_and_gets_the_reference_length() -> None:
    values = torch.tensor([[3.0, 4.0], [0.6, 0.8]])
    assert torch.allclose(anchored(values, torch.zeros(2, 2), 4.0), torch.tensor([[2.4, 3.2], [2.4, 3.2]]))


def test_a_value_more_than_twice_as_long_is_given_up_for_the_mlps_own_output() -> None:
    values, original = torch.tensor([[8.1, 0.0], [8.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert torch.allclose(anchored(values, original, 4.0), torch.tensor([[0.0, 1.0], [4.0, 0.0]]))


def test_a_value_of_no_length_stays_finite() -> None:
    assert torch.equal(anchored(torch.zeros(1, 2), torch.ones(1, 2), 4.0), torch.zeros(1, 2))


@pytest.mark.parametrize(("n", "mean"), [(40, 18.5), (19, 9.0), (1, 0.0)])
def test_the_reference_leaves_out_the_longest_twentieth(n: int, mean: float) -> None:
    values = torch.zeros(n, 2)
    values[:, 1] = -torch.arange(n).flip(0)
    assert reference_norm(values) == pytest.approx(mean)


def edited(**changed: Any) -> Any:
    values = settings(
        memit, "memit", **QUICK["memit"] | {"layers": [1], "moments": False, "moment_weight": 1e-6} | changed
    )
    return memit.edit(tiny_model("llama"), byte_tokenizer(), REQUESTS[:2], values, context())


def test_one_edit_with_the_anchor_at_its_own_length_is_the_edit_without_one() -> None:
    tokenizer, values = byte_tokenizer(), settings(memit, "memit", **QUICK["memit"] | {"layers": [1], "moments": False})
    plain = memit.edit(tiny_model("llama"), tokenizer, REQUESTS[:1], values, context())
    anchor = plain.info["value_norm"]
    own = values.model_copy(update={"anchor": anchor})
    same = memit.edit(tiny_model("llama"), tokenizer, REQUESTS[:1], own, context())
    (path,) = plain.updates
    torch.testing.assert_close(dense(same.updates[path]), dense(plain.updates[path]), atol=1e-5, rtol=1e-3)


def test_values_far_beyond_the_anchor_leave_the_weights_alone() -> None:
    """Each is given up, so the MLP says what it said: the residual is 0."""
    path = architecture(tiny_model("llama")).mlp_out_of(1)
    plain, given_up = edited(), edited(anchor=edited().info["value_norm"] / 100)
    assert dense(plain.updates[path]).norm() > 1e-2
    assert dense(given_up.updates[path]).norm() < 1e-3 * dense(plain.updates[path]).norm()
