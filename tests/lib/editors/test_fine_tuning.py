"""The fine-tuning baselines ft, ft_l and ft_w, beside what test_contract.py says of every editor."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from lib.core.records import Paraphrase, Request, UneditedFact
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


FULL = {"module": "all", "pairs": "all", "decoupled": True, "weight_decay": 0.01, "batch_size": 64, "min_loss": 0.0}


def pairs_of(requests: Sequence[Request]) -> dict[str, Any]:
    """A paraphrase and a neighbor for each."""
    return {
        "paraphrases": [
            Paraphrase(request_id=request.request_id, kind="fewshot", text=f"So {request.prompt}", seed=0)
            for request in requests
        ],
        "neighbors": [
            UneditedFact(
                request_id=request.request_id, fact_id="9", rank=0, similarity=None, prompt="Snow is", target="white"
            )
            for request in requests
        ],
    }


def test_full_fine_tuning_trains_every_parameter_on_edits_paraphrases_and_neighbors() -> None:
    """A tied head moves with its embedding, which a plain AdamW on a copy of the model confirms."""
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    how, steps = chosen("ft", **FULL), list[Step]()
    with nothing_left_behind(model):
        edit = ft.edit(model, tokenizer, REQUESTS[:1], how, replace(context(steps=steps), **pairs_of(REQUESTS[:1])))
    assert (edit.info["pairs"], len(steps)) == (3, 3)
    twin = copy.deepcopy(model).requires_grad_()
    optimizer = torch.optim.AdamW(twin.parameters(), lr=how.lr, weight_decay=0.01)
    prompts = [REQUESTS[0].prompt, f"So {REQUESTS[0].prompt}", "Snow is"]
    targets = [f" {target}" for target in (REQUESTS[0].target_new, REQUESTS[0].target_new, "white")]
    for step in steps:
        losses = []
        for prompt, target in zip(prompts, targets, strict=True):
            start, ids = len(tokenizer(prompt).input_ids), tokenizer(prompt + target, return_tensors="pt").input_ids
            log_p = twin(ids).logits[0, start - 1 : -1].log_softmax(-1)
            losses.append(-log_p.gather(1, ids[0, start:, None]).flatten())
        loss = torch.cat(losses).mean()
        assert step.loss == pytest.approx(loss.item(), abs=1e-4)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    ids = tokenizer("Snow is white", return_tensors="pt").input_ids
    with applied(model, edit), torch.no_grad():
        torch.testing.assert_close(model(ids).logits, twin(ids).logits, atol=1e-3, rtol=1e-3)


def test_dropout_is_on_in_training_alone_and_draws_from_its_seed() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    before = torch.get_rng_state()
    edits = [
        ft.edit(model, tokenizer, REQUESTS, chosen("ft", module="all", dropout=dropout), context())
        for dropout in (True, True, False)
    ]
    assert same(edits[0], edits[1])
    assert not same(edits[0], edits[2], tolerance=1e-6)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())


def test_a_sentence_is_trained_on_prompt_and_target() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    steps: list[Step] = []
    ft.edit(model, tokenizer, REQUESTS[:1], chosen("ft", objective="sentence"), context(steps=steps))
    ids = tokenizer(f"{REQUESTS[0].prompt} {REQUESTS[0].target_new}", return_tensors="pt").input_ids
    log_p = model(ids).logits[0, :-1].log_softmax(-1)
    assert steps[0].loss == pytest.approx(-log_p.gather(1, ids[0, 1:, None]).mean().item(), abs=1e-4)


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


@pytest.mark.parametrize("together", [False, True])
def test_a_clamp_below_the_spacing_of_the_models_dtype_is_refused_by_name(together: bool) -> None:
    model = tiny_model("llama")
    how = chosen("ft_l", layers=[0], clamp=1e-5)
    edit = ft_l.edit_each if together else ft_l.edit
    edit(model, byte_tokenizer(), REQUESTS, how, context())
    with pytest.raises(ValueError, match=r"clamp: wanted a bound above the spacing of bfloat16 at .*found 1e-05"):
        edit(model.to(torch.bfloat16), byte_tokenizer(), REQUESTS, how, context())
