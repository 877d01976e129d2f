"""Weights laid out for a few rows: the same products to rounding, and nothing left behind."""

import pytest
import torch

from lib.edits.apply import low_rank_branch
from lib.edits.updates import LowRank
from lib.generation import weights
from tests.helpers.models import tiny_model


@pytest.mark.parametrize("family", ["gpt2", "gptj", "neox", "llama", "gemma3"])
def test_products_are_equal_to_rounding_and_the_model_is_left_as_it_was(family: str) -> None:
    model, ids = tiny_model(family), torch.arange(1, 13).view(2, 6)
    with torch.inference_mode():
        before = model(ids).logits
        with weights.laid_out(model):
            within = model(ids).logits
        after = model(ids).logits
    assert torch.equal(before, after)
    assert not any("forward" in module.__dict__ for module in model.modules())
    torch.testing.assert_close(within, before, rtol=1e-4, atol=1e-4)


def test_a_low_rank_branch_works_beside_them() -> None:
    model, ids = tiny_model("llama"), torch.arange(1, 7)[None]
    module = model.model.layers[0].mlp.down_proj
    update = LowRank(left=torch.ones(32, 1), right=torch.ones(1, 48))
    with torch.inference_mode(), low_rank_branch(module, update):
        expected = model(ids).logits
        with weights.laid_out(model):
            torch.testing.assert_close(model(ids).logits, expected, rtol=1e-4, atol=1e-4)


def test_weights_of_large_models_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("gpt2")
    monkeypatch.setattr(weights, "LARGEST_BYTES", 1000)
    with weights.laid_out(model):
        assert not any("forward" in module.__dict__ for module in model.modules())


def test_what_fails_within_leaves_no_trace() -> None:
    model = tiny_model("gpt2")
    with pytest.raises(KeyError), weights.laid_out(model):
        raise KeyError
    assert not any("forward" in module.__dict__ for module in model.modules())
