"""Adapters trained together are the adapters trained one at a time, on every family of models."""

import pytest
import torch

from lib.core.params import Lora
from lib.edits.adapter import Adapter, new_adapter
from lib.methods.training.each import train_each
from lib.methods.training.example import Example
from lib.methods.training.loop import train
from lib.methods.training.objective import Objective
from lib.models.packing import Item
from lib.runtime.distributed import Distributed
from tests.helpers.models import CONFIGS, TARGETS, tiny_model
from tests.lib.methods.test_training import schedule


def examples(edit: int) -> list[Example]:
    """An edit's own pairs; every edit has another number of them."""
    return [
        Example(item=Item(prompt=(edit + n + 1, n + 2, 9), targets=((edit + 20, edit + 21 + n)[: 1 + n % 2],)))
        for n in range(3 + 2 * edit)
    ]


@pytest.mark.parametrize("family", CONFIGS)
def test_adapters_trained_together_equal_adapters_trained_alone(family: str) -> None:
    model = tiny_model(family)
    lora = Lora(r=4, alpha=8.0, targets=[*TARGETS[family], *(["wte"] if family == "gpt2" else [])])
    adapters: list[Adapter] = [new_adapter(model, lora, seed=0) for _ in range(3)]
    plan = schedule(epochs=4)
    train_each(model, adapters, [examples(edit) for edit in range(3)], plan, Objective(), lambda steps: steps)
    for edit, together in enumerate(adapters):
        alone = new_adapter(model, lora, seed=0)
        with alone.attached(model):
            train(model, alone.parameters(), examples(edit), plan, Distributed(), lambda steps: steps)
        for parameter, reference in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(parameter, reference, atol=5e-4, rtol=5e-3)
    assert not any(module._forward_hooks for module in model.modules())


def test_an_edit_without_pairs_is_an_error() -> None:
    model = tiny_model("llama")
    adapter = new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS["llama"]), seed=0)
    with pytest.raises(ValueError, match="at least one pair"):
        train_each(model, [adapter], [[]], schedule(), Objective(), lambda steps: steps)
