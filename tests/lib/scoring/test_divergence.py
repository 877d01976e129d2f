"""KL of the unedited from the edited model: against a plain computation, and the model is left as it was."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from lib.edits.apply import applied, shape_of
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank
from lib.models import next_token
from lib.scoring.divergence import divergence, divergences
from tests.helpers.models import byte_tokenizer, tiny_model

PROMPTS = ("The capital of France is", "A", "Rome lies in", "The mother tongue of Ada is", "Rome lies in")
MODULES = {
    "gpt2": "transformer.h.1.mlp.c_proj",
    "gptj": "transformer.h.1.mlp.fc_out",
    "neox": "gpt_neox.layers.1.mlp.dense_4h_to_h",
    "llama": "model.layers.1.mlp.down_proj",
}
families = pytest.mark.parametrize("family", MODULES)


def edit_of(model: Any, family: str, low_rank: bool = False) -> Edit:
    """A random update of one matrix."""
    d_out, d_in = shape_of(model.get_submodule(MODULES[family]))
    stream = torch.Generator().manual_seed(1)
    left, right = torch.randn(d_out, 2, generator=stream), torch.randn(2, d_in, generator=stream) / 4
    update = LowRank(left=left, right=right)
    return Edit(updates={MODULES[family]: update if low_rank else Dense(delta=update.dense())})


def plain(model: Any, prompt: str) -> torch.Tensor:
    """log p of the next token, by one unpadded forward pass, in float64."""
    logits: torch.Tensor = model(torch.tensor([byte_tokenizer()(prompt).input_ids])).logits[0, -1]
    return logits.double().log_softmax(-1)


def found(
    model: Any, edit: Edit, prompts: Sequence[str] = PROMPTS, context: str = "", micro_batch_tokens: int = 64
) -> list[float]:
    tokenizer, values = byte_tokenizer(), [0.0] * len(prompts)
    before = next_token.prompt_items(tokenizer, prompts)
    after = next_token.prompt_items(tokenizer, [context + prompt for prompt in prompts])
    for batch in next_token.prompt_batches(after, micro_batch_tokens):
        measured = divergences(model, edit, [before[index] for index in batch], [after[index] for index in batch])
        for number, value in zip(batch, measured, strict=True):
            values[number] = value
    return values


@families
@pytest.mark.parametrize("low_rank", [False, True])
def test_it_is_the_sum_over_the_vocabulary_of_p_times_the_log_ratio(family: str, low_rank: bool) -> None:
    model = tiny_model(family)
    edit = edit_of(model, family, low_rank)
    before = [plain(model, prompt) for prompt in PROMPTS]
    with applied(model, edit):
        after = [plain(model, prompt) for prompt in PROMPTS]
    expected = [float((p.exp() * (p - q)).sum()) for p, q in zip(before, after, strict=True)]
    assert min(expected) > 1e-3
    assert found(model, edit) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_half_and_half_against_a_quarter_is_a_known_number() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert divergence(p, q).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-6)
    assert divergence(q, p).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-6)


@families
def test_no_edit_moves_nothing(family: str) -> None:
    assert found(tiny_model(family), Edit(updates={})) == [0.0] * len(PROMPTS)


@pytest.mark.parametrize("micro_batch_tokens", [1, 40, 4096])
def test_the_size_of_a_batch_changes_no_value_and_no_order(micro_batch_tokens: int) -> None:
    model = tiny_model("gpt2")
    edit = edit_of(model, "gpt2")
    assert found(model, edit, micro_batch_tokens=micro_batch_tokens) == pytest.approx(found(model, edit), abs=1e-5)
    assert found(model, edit, ()) == []


def test_a_batch_has_no_more_distributions_than_meet_the_head_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_token, "HEAD_CHUNK", 2)
    items = next_token.prompt_items(byte_tokenizer(), PROMPTS)
    assert [len(batch) for batch in next_token.prompt_batches(items, 4096)] == [2, 2, 1]


@families
def test_the_model_is_left_as_it_was(family: str) -> None:
    model = tiny_model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found(model, edit_of(model, family))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_context_comes_before_the_prompt_of_the_edited_model_only() -> None:
    model, prompt = tiny_model("gpt2"), PROMPTS[0]
    p, q = plain(model, prompt), plain(model, "Now: " + prompt)
    value = found(model, Edit(updates={}), [prompt], "Now: ")
    assert value == pytest.approx([float((p.exp() * (p - q)).sum())], rel=1e-3)
