"""Training in isolated rows: the loss is that of plain passes, and edits trained together are edits trained alone."""

import pytest
import torch

from lib.core.params import Lora
from lib.edits.adapter import new_adapter
from lib.methods.training.each import train_each
from lib.methods.training.example import Example
from lib.methods.training.loop import train
from lib.methods.training.objective import Objective
from lib.models.check import packed_for, reading_of
from lib.models.likelihood import token_nll
from lib.models.packing import Item
from lib.runtime.distributed import Distributed
from tests.helpers.families import family_model
from tests.lib.methods.test_training import schedule

TARGETS = {"lfm2": ["q_proj", "w1", "in_proj"], "mpt": ["Wqkv", "down_proj"]}
PAIR = Item(prompt=(3, 4, 5), targets=((6, 7), (8,), (9, 10, 11)))


def examples(edit: int) -> list[Example]:
    """An edit's own pairs, with two targets in every second of them."""
    return [
        Example(item=Item(prompt=(edit + n + 1, n + 2, 9), targets=((edit + 20, 21 + n), (30,))[: 1 + n % 2]))
        for n in range(2 + edit)
    ]


@pytest.mark.parametrize("family", TARGETS)
def test_adapters_trained_together_equal_adapters_trained_alone(family: str) -> None:
    model = family_model(family)
    assert reading_of(model).rows == "isolated"
    lora, plan = Lora(r=4, alpha=8.0, targets=TARGETS[family]), schedule(epochs=2)
    adapters = [new_adapter(model, lora, seed=0) for _ in range(2)]
    train_each(model, adapters, [examples(edit) for edit in range(2)], plan, Objective(), lambda steps: steps)
    for edit, together in enumerate(adapters):
        alone = new_adapter(model, lora, seed=0)
        with alone.attached(model):
            train(model, alone.parameters(), examples(edit), plan, Distributed(), lambda steps: steps)
        for parameter, reference in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(parameter, reference, atol=5e-4, rtol=5e-3)


@pytest.mark.parametrize("family", TARGETS)
def test_the_gradient_is_that_of_plain_passes(family: str) -> None:
    model = family_model(family)
    weight = model.get_input_embeddings().weight.requires_grad_()
    (packed,) = torch.autograd.grad(token_nll(model, packed_for(model, [PAIR])).sum(), weight)
    loss = torch.zeros(())
    for target in PAIR.targets:
        logits = model(torch.tensor([[*PAIR.prompt, *target]])).logits[0, len(PAIR.prompt) - 1 : -1]
        loss = loss + torch.nn.functional.cross_entropy(logits, torch.tensor(target), reduction="sum")
    (plain,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(packed, plain, atol=1e-4, rtol=1e-3)
