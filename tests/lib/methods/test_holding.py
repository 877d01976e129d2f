"""What is held to the unedited model: KL at the held tokens, and training."""

import math
from dataclasses import replace

import pytest
import torch

from lib.core.params import Lora
from lib.edits.adapter import Adapter, new_adapter
from lib.edits.apply import Gate, applied
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank
from lib.methods.training.each import train_each
from lib.methods.training.example import Example
from lib.methods.training.holding import held_tokens, token_losses
from lib.methods.training.loop import Schedule, train
from lib.methods.training.objective import Objective
from lib.methods.training.unedited import HeldStates
from lib.models.likelihood import token_nll
from lib.models.packing import Item, pack
from lib.runtime.distributed import SINGLE_PROCESS
from tests.helpers.models import TARGETS, tiny_model

EDIT = Example(item=Item(prompt=(5, 9, 4, 7), targets=((11, 12, 30, 31),)), held_tokens=2)
PROMPT = Example(item=Item(prompt=(5, 8, 4, 7), targets=((0,),)), held_tokens=1, group="prompts")
TEXT = Example(item=Item(prompt=(20,), targets=((21, 22, 23),)), held_tokens=3, group="texts")
EXAMPLES = [EDIT, PROMPT, TEXT]


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def changed(adapter: Adapter) -> Adapter:
    """The adapter as it might be after training: no matrix of it is zero any more."""
    torch.manual_seed(1)
    with torch.no_grad():
        for path in adapter.b:
            adapter.b[path].normal_(std=0.3)
    return adapter


def adapter_of(model: torch.nn.Module, family: str) -> Adapter:
    return new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS[family]), seed=0)


def plain_log_p(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    log_p: torch.Tensor = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return log_p


def test_losses_are_those_of_plain_passes_with_and_without_the_adapter(family: str) -> None:
    model = tiny_model(family)
    adapter = changed(adapter_of(model, family))
    packed = pack([example.item for example in EXAMPLES])
    with adapter.attached(model), torch.no_grad():
        nll, divergence = token_losses(model, packed, EXAMPLES, adapter.gate)
    expected_nll, expected_kl = [], []
    for example in EXAMPLES:
        (target,) = example.item.targets
        ids = [*example.item.prompt, *target]
        with torch.no_grad():
            log_p0 = plain_log_p(model, ids)
            with adapter.attached(model):
                log_p = plain_log_p(model, ids)
        for number, token in enumerate(target):
            row = len(example.item.prompt) + number - 1
            is_held = number >= len(target) - example.held_tokens
            kl = float((log_p0[row].exp() * (log_p0[row] - log_p[row])).sum())
            expected_nll.append(0.0 if is_held else float(-log_p[row, token]))
            expected_kl.append(kl if is_held else 0.0)
    assert nll.tolist() == pytest.approx(expected_nll, abs=1e-5)
    assert divergence.tolist() == pytest.approx(expected_kl, abs=1e-5)
    assert max(expected_kl) > 0.01


@pytest.mark.parametrize("is_low_rank", [True, False])
def test_earlier_edits_are_no_part_of_what_is_held_to_but_for_their_own_objects(family: str, is_low_rank: bool) -> None:
    """Low-rank edits, and those that have added up to a whole matrix."""
    model = tiny_model(family)
    adapter, before = changed(adapter_of(model, family)), changed(adapter_of(model, family))
    updates = before.updates()
    matrices = {path: Dense(delta=update.dense()) for path, update in updates.items() if isinstance(update, LowRank)}
    earlier = Edit(updates=updates if is_low_rank else matrices)
    learned = Example(item=Item(prompt=(5, 8), targets=((6, 7),)), held_tokens=2, group="earlier")
    examples = [EDIT, learned, TEXT]
    gate = Gate()
    with applied(model, earlier, gate), adapter.attached(model), torch.no_grad():
        packed = pack([example.item for example in examples])
        _, divergence = token_losses(model, packed, examples, adapter.gate, earlier=gate)
    expected = []
    for example in examples:
        ids = [*example.item.prompt, *example.item.targets[0]]
        with torch.no_grad():
            unedited = plain_log_p(model, ids)
            with applied(model, earlier):
                before_batch = plain_log_p(model, ids)
                with adapter.attached(model):
                    log_p = plain_log_p(model, ids)
        log_p0 = before_batch if example.group == "earlier" else unedited
        rows = range(len(example.item.prompt) - 1, len(ids) - 1)
        held = [0.0] * (len(rows) - example.held_tokens) + [1.0] * example.held_tokens
        expected += [
            flag * float((log_p0[row].exp() * (log_p0[row] - log_p[row])).sum())
            for flag, row in zip(held, rows, strict=True)
        ]
    assert divergence.tolist() == pytest.approx(expected, abs=1e-5)
    assert min(value for value in expected if value) > 1e-3


def test_an_adapter_that_changes_nothing_diverges_nowhere(family: str) -> None:
    model = tiny_model(family)
    adapter = adapter_of(model, family)
    packed = pack([example.item for example in EXAMPLES])
    with adapter.attached(model), torch.no_grad():
        nll, divergence = token_losses(model, packed, EXAMPLES, adapter.gate)
        learned = token_nll(model, packed)[~held_tokens(EXAMPLES)]
    assert divergence.abs().max() < 1e-6
    torch.testing.assert_close(nll[~held_tokens(EXAMPLES)], learned)


def test_states_that_steps_share_give_the_same_losses(family: str) -> None:
    model = tiny_model(family)
    adapter = changed(adapter_of(model, family))
    packed, states = pack([example.item for example in EXAMPLES]), HeldStates()
    with adapter.attached(model), torch.no_grad():
        expected = token_losses(model, packed, EXAMPLES, adapter.gate)
        for _ in range(2):
            torch.testing.assert_close(token_losses(model, packed, EXAMPLES, adapter.gate, states=states), expected)
    assert float(expected[1].max()) > 0.01


def test_each_group_weighs_as_one_mean(family: str) -> None:
    model = tiny_model(family)
    adapter = changed(adapter_of(model, family))
    packed = pack([example.item for example in EXAMPLES])
    with adapter.attached(model), torch.no_grad():
        nll, divergence = token_losses(model, packed, EXAMPLES, adapter.gate)
        loss = Objective(after=2.0, keep=3.0).loss(model, EXAMPLES, EXAMPLES, adapter.gate)
    conditional, after = nll[:2].mean(), divergence[2:4].mean()
    keep = divergence[4] + divergence[5:].mean()
    torch.testing.assert_close(loss, conditional + 2 * after + 3 * keep)


def test_parts_of_a_batch_add_up_to_the_batch(family: str) -> None:
    model = tiny_model(family)
    adapter = changed(adapter_of(model, family))
    objective = Objective(after=2.0, keep=3.0)
    with adapter.attached(model), torch.no_grad():
        together = objective.loss(model, EXAMPLES, EXAMPLES, adapter.gate)
        parts = [objective.loss(model, [example], EXAMPLES, adapter.gate) for example in EXAMPLES]
    torch.testing.assert_close(torch.stack(parts).sum(), together)


def test_where_a_gate_is_shut_the_states_are_the_unedited_models(family: str) -> None:
    model = tiny_model(family)
    adapter = changed(adapter_of(model, family))
    ids = torch.tensor([[5, 9, 4, 7, 3, 2]])
    with torch.no_grad():
        unedited = model(ids).logits[0]
        with adapter.attached(model):
            edited = model(ids).logits[0]
            with adapter.gate.closed():
                torch.testing.assert_close(model(ids).logits[0], unedited)
    assert (edited - unedited).abs().max() > 1e-3


def schedule(epochs: int) -> Schedule:
    return Schedule(epochs=epochs, lr=1e-2, batch_size=2, micro_batch_tokens=64, weight_decay=0.0, max_grad_norm=1.0,
                    seed=0, warmup=2, beta2=0.99)  # fmt: skip


def test_training_learns_the_edit_and_stays_nearer_to_the_unedited_model_where_it_is_held(family: str) -> None:
    def trained(objective: Objective) -> tuple[float, float]:
        model = tiny_model(family)
        adapter = adapter_of(model, family)
        with adapter.attached(model):
            train(model, adapter.parameters(), [EDIT], schedule(60), SINGLE_PROCESS, lambda steps: steps, None,
                  objective, lambda step: [PROMPT, TEXT], adapter.gate)  # fmt: skip
            with torch.no_grad():
                nll, divergence = token_losses(model, pack([example.item for example in EXAMPLES]), EXAMPLES,
                                               adapter.gate)  # fmt: skip
        return float(nll[:2].mean()), float(divergence.sum())

    free_nll, free_kl = trained(Objective())
    held_nll, held_kl = trained(Objective(after=3.0, keep=3.0))
    assert max(free_nll, held_nll) < 1.0  # of 4 before: the head of so small a model allows no less
    assert held_kl < free_kl / 3


def test_many_adapters_at_once_are_each_alone(family: str) -> None:
    second_edit = replace(EDIT, item=Item(prompt=(6, 3, 2), targets=((13, 40),)), held_tokens=1)
    sets, objective = [[EDIT, PROMPT], [second_edit, TEXT]], Objective(after=2.0, keep=1.0)
    model = tiny_model(family)
    # From adapters that change something: at the start the KL has no gradient, and Adam would scale up its rounding.
    together = [changed(adapter_of(model, family)) for _ in sets]
    train_each(model, together, sets, schedule(3), objective, lambda steps: steps)
    for adapter, examples in zip(together, sets, strict=True):
        alone = changed(adapter_of(model, family))
        with alone.attached(model):
            train(model, alone.parameters(), examples, schedule(3), SINGLE_PROCESS, lambda steps: steps, None,
                  objective, gate=alone.gate)  # fmt: skip
        for parameter, reference in zip(adapter.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(parameter, reference, atol=2e-4, rtol=1e-3)


def test_the_rate_rises_over_the_warm_up_and_falls_to_zero() -> None:
    rates = [schedule(10).rate(step, 10) for step in range(11)]
    assert rates[:3] == pytest.approx([1e-2 / 3, 2e-2 / 3, 1e-2])
    assert rates[6] == pytest.approx(1e-2 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert rates[10] == pytest.approx(0)


def test_right_after_an_object_no_token_is_held_that_would_make_its_word_longer(family: str) -> None:
    model = tiny_model(family)
    adapter = changed(adapter_of(model, family))
    packed = pack([example.item for example in EXAMPLES])
    likeliest = plain_log_p(model, [5, 9, 4, 7, 11, 12])[-1].argmax()
    word_parts = torch.zeros(model.config.vocab_size, dtype=torch.bool)
    word_parts[likeliest] = True
    with adapter.attached(model), torch.no_grad():
        _, plain = token_losses(model, packed, EXAMPLES, adapter.gate)
        _, divergence = token_losses(model, packed, EXAMPLES, adapter.gate, word_parts)
    ids = [5, 9, 4, 7, 11, 12]
    with torch.no_grad():
        p0 = plain_log_p(model, ids)[-1].exp()
        p0[likeliest] = 0
        p0 /= p0.sum()
        with adapter.attached(model):
            log_p = plain_log_p(model, ids)[-1]
    expected = (p0[p0 > 0] * (p0[p0 > 0].log() - log_p[p0 > 0])).sum()
    assert divergence[2].item() == pytest.approx(expected.item(), rel=1e-3)
    elsewhere = torch.arange(len(plain)) != 2
    assert torch.equal(divergence[elsewhere], plain[elsewhere])
