"""The loss: its shares, DPO against the formula worked out pair by pair, and plain text beside facts."""

import math

import pytest
import torch

from lib.core.params import Lora
from lib.edits.adapter import new_adapter
from lib.methods.training.example import Example
from lib.methods.training.objective import Objective, with_reference
from lib.methods.training.pairs import ended
from lib.models.packing import Item
from tests.helpers.models import TARGETS, tiny_model

TWO = [Item(prompt=(n + 1, n + 2), targets=((n + 10, n + 11), (n + 30,))) for n in range(3)]
ONE = [Item(prompt=(n + 1, 5, n + 2), targets=((n + 40,),)) for n in range(2)]


def log_p(model: torch.nn.Module, prompt: tuple[int, ...], target: tuple[int, ...]) -> torch.Tensor:
    logits = model(torch.tensor([[*prompt, *target]])).logits[0].log_softmax(-1)
    return torch.stack([logits[len(prompt) + k - 1, token] for k, token in enumerate(target)]).sum()


@pytest.fixture
def model() -> torch.nn.Module:
    network: torch.nn.Module = tiny_model("llama")
    return network


def test_conditional_loss_is_the_mean_over_the_target_tokens_of_the_whole_batch(model: torch.nn.Module) -> None:
    batch = [Example(item=item) for item in ONE]
    parts = [Objective().loss(model, [example], batch) for example in batch]
    expected = -sum(log_p(model, item.prompt, item.targets[0]) for item in ONE) / 2
    torch.testing.assert_close(sum(parts), expected)


def test_dpo_is_the_formula_with_the_unedited_model_as_reference(model: torch.nn.Module) -> None:
    batch = with_reference(model, [Example(item=item) for item in [*TWO, *ONE]], micro_batch_tokens=8)
    assert [example.reference is not None for example in batch] == [True] * 3 + [False] * 2
    before = [[log_p(model, item.prompt, target) for target in item.targets] for item in TWO]
    adapter = new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS["llama"]), seed=0)
    for matrix in adapter.b.values():
        matrix.data.normal_(generator=torch.Generator().manual_seed(1))
    with adapter.attached(model):
        loss = Objective(dpo=0.4, beta=0.5).loss(model, batch, batch)
        after = [[log_p(model, item.prompt, target) for target in item.targets] for item in TWO]
        conditional = -sum(log_p(model, item.prompt, item.targets[0]) for item in [*TWO, *ONE]) / 8
    margins = [(new - new0) - (true - true0) for (new, true), (new0, true0) in zip(after, before, strict=True)]
    preference = sum(-torch.nn.functional.logsigmoid(0.5 * margin) for margin in margins) / 3
    torch.testing.assert_close(loss, 0.6 * conditional + 0.4 * preference, rtol=1e-4, atol=1e-5)


def test_the_end_of_text_behind_published_pairs_counts_in_dpo_alone(model: torch.nn.Module) -> None:
    """Before training DPO is log 2 whatever is paired, so that what is left is the conditional loss."""
    pairs = [ended(item, 0) for item in [*TWO, *ONE]]
    batch = with_reference(model, [Example(item=item) for item in pairs], micro_batch_tokens=64)
    loss = Objective(dpo=0.4, ends=1).loss(model, batch, batch)
    conditional = -sum(log_p(model, item.prompt, item.targets[0]) for item in [*TWO, *ONE]) / 8
    torch.testing.assert_close(loss, 0.6 * conditional + torch.tensor(0.4 * math.log(2)), rtol=1e-4, atol=1e-5)
    assert batch[0].reference is not None
    expected = log_p(model, TWO[0].prompt, (*TWO[0].targets[0], 0))
    assert batch[0].reference[0] == pytest.approx(float(expected), abs=1e-4)


def test_before_training_dpo_is_log_two(model: torch.nn.Module) -> None:
    batch = with_reference(model, [Example(item=item) for item in TWO], micro_batch_tokens=64)
    full_loss = Objective(dpo=0.5).loss(model, batch, batch).item()
    conditional = Objective().loss(model, batch, batch).item()
    assert full_loss == pytest.approx(0.5 * conditional + 0.5 * math.log(2), abs=1e-5)


def test_text_has_its_share_whatever_the_number_of_its_tokens(model: torch.nn.Module) -> None:
    facts = [Example(item=item) for item in ONE]
    text = Example(item=Item(prompt=(7,), targets=((8, 9, 10, 11),)), text=True)
    batch = [*facts, text]
    alone = Objective().loss(model, facts, facts)
    expected = 0.9 * alone - 0.1 * log_p(model, (7,), (8, 9, 10, 11)) / 4
    torch.testing.assert_close(Objective(text=0.1).loss(model, batch, batch), expected)
