"""The fine-tuning baselines ft, ft_l and ft_w, beside what test_contract.py says of every editor."""

from typing import Any

import pytest
import torch

from lib.editors import ft, ft_l, ft_w
from lib.edits.apply import applied
from lib.edits.updates import tensors_of
from lib.methods.training.loop import Step
from tests.helpers.baselines import REQUESTS, context, nothing_left_behind, same, settings
from tests.helpers.models import byte_tokenizer, tiny_model

EDITORS: dict[str, Any] = {"ft": ft, "ft_l": ft_l, "ft_w": ft_w}
SHORT = {"layers": "auto", "lr": 1e-2, "epochs": 3}


def chosen(name: str, **changed: Any) -> Any:
    return settings(EDITORS[name], name, **SHORT | ({"decay": "published"} if name == "ft_w" else {}) | changed)


@pytest.mark.parametrize("objective", ["corrected", "published"])
@pytest.mark.parametrize("name", ["ft", "ft_l"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_edits_made_together_have_the_weights_of_those_made_alone(family: str, name: str, objective: str) -> None:
    model, tokenizer, editor = tiny_model(family), byte_tokenizer(), EDITORS[name]
    how = chosen(name, layers=[0, 1], objective=objective, **{} if name == "ft_l" else {"weight_decay": 0.1})
    with nothing_left_behind(model):
        together = editor.edit_each(model, tokenizer, REQUESTS, how, context(micro_batch_tokens=40))
    for request, edit in zip(REQUESTS, together, strict=True):
        assert same(editor.edit(model, tokenizer, [request], how, context()), edit, tolerance=1e-3)
    assert editor.size_each(model, how, context()) == sum(
        value.numel() for update in together[0].updates.values() for value in tensors_of(update).values()
    )


def test_an_edit_made_together_stops_when_its_own_loss_is_low() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    how = chosen("ft", epochs=12, lr=5e-2, min_loss=1.9)
    counts = []
    for request in REQUESTS:
        steps: list[Step] = []
        ft.edit(model, tokenizer, [request], how, context(steps=steps))
        counts.append(len(steps))
    assert len({*counts}) > 1  # they stop at different times
    assert max(counts) < 12
    for request, edit in zip(REQUESTS, ft.edit_each(model, tokenizer, REQUESTS, how, context()), strict=True):
        assert same(ft.edit(model, tokenizer, [request], how, context()), edit, tolerance=1e-3)


def test_a_whole_block_is_trained_one_edit_at_a_time() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    how = chosen("ft", module="block")
    together = ft.edit_each(model, tokenizer, REQUESTS, how, context())
    assert same(ft.edit(model, tokenizer, REQUESTS[:1], how, context()), together[0])
    assert {type(update).__name__ for update in together[0].updates.values()} == {"Dense", "Vector"}


def test_a_micro_batch_changes_no_result() -> None:
    model, tokenizer = tiny_model("gptj"), byte_tokenizer()
    mass_edit = ft.edit(model, tokenizer, REQUESTS, chosen("ft"), context())
    assert same(
        mass_edit, ft.edit(model, tokenizer, REQUESTS, chosen("ft"), context(micro_batch_tokens=16)), tolerance=1e-4
    )


def test_no_entry_moves_further_than_the_clamp() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    edit = ft_l.edit(model, tokenizer, REQUESTS, chosen("ft_l", clamp=1e-3), context())
    moved = torch.cat([value.flatten() for update in edit.updates.values() for value in tensors_of(update).values()])
    assert 0.99e-3 < moved.abs().max() <= 1.001e-3


def test_batches_below_the_bound_take_no_step_and_an_epoch_below_it_is_the_last() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    steps: list[Step] = []
    edit = ft.edit(model, tokenizer, REQUESTS, chosen("ft", min_loss=100.0, batch_size=2), context(steps=steps))
    assert len(steps) == 2
    assert all(not value.any() for update in edit.updates.values() for value in tensors_of(update).values())


def test_published_scores_every_target_token_from_the_last_prompt_token() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    steps: list[Step] = []
    ft.edit(model, tokenizer, REQUESTS[:1], chosen("ft", objective="published"), context(steps=steps))
    ids = tokenizer(REQUESTS[0].prompt, return_tensors="pt").input_ids
    log_p = model(ids).logits[0, -1].log_softmax(-1)
    assert steps[0].loss == pytest.approx(-log_p[tokenizer(" Rome").input_ids].mean().item(), abs=1e-5)


def test_the_weight_decay_of_ft_w_falls_with_the_number_of_requests() -> None:
    how = chosen("ft_w", decay="corrected")
    decays = [ft_w.weight_decay(n, how) for n in (1, 100, 1_000, 10_000)]
    assert decays == pytest.approx([1.169, 0.0212, 0.00286, 0.000386], rel=2e-3)
    assert ft_w.weight_decay(1, chosen("ft_w", decay="published")) == 0.0


def test_norms_are_edited_too_and_are_what_they_were_after_undo() -> None:
    model, tokenizer = tiny_model("mistral"), byte_tokenizer()
    edit = ft_w.edit(model, tokenizer, REQUESTS, chosen("ft_w"), context())
    path = "model.layers.1.input_layernorm.weight"
    before = model.get_parameter(path).clone()
    with applied(model, edit):
        assert not torch.equal(model.get_parameter(path), before)
    assert torch.equal(model.get_parameter(path), before)


def test_mistakes_are_errors() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    with pytest.raises(ValueError, match="layers 0 to 1, found 7"):
        ft.edit(model, tokenizer, REQUESTS, chosen("ft", layers=[7]), context())
    with pytest.raises(ValueError, match="at least one request"):
        ft.edit(model, tokenizer, [], chosen("ft"), context())
    with nothing_left_behind(model), pytest.raises((FloatingPointError, ValueError), match=r"nan|not finite"):
        ft.edit(model, tokenizer, REQUESTS, chosen("ft", lr=1e30), context())
    with nothing_left_behind(model), pytest.raises((FloatingPointError, ValueError), match=r"nan|not finite"):
        ft.edit_each(model, tokenizer, REQUESTS, chosen("ft", lr=1e30), context())
