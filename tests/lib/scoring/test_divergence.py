"""KL of the unedited from the edited model: against a plain computation, and the model is left as it was."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from lib.edits.apply import applied, shape_of
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank
from lib.models.hooks import hooked
from lib.models.likelihood import hidden_states
from lib.models.next_token import prompt_items
from lib.models.packing import pack
from lib.scoring import divergence as divergence_module
from lib.scoring.divergence import divergences, head_of
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


def states(model: Any, prompts: Sequence[str]) -> torch.Tensor:
    """The final hidden states after the prompts: [n, d]"""
    items = prompt_items(byte_tokenizer(), prompts)
    with torch.inference_mode():
        return hidden_states(model, pack(items)) if items else torch.empty(0, 32)


def measured(model: Any, edit: Edit, prompts: Sequence[str] = PROMPTS, context: str = "") -> list[float]:
    head, before = head_of(model, edit), states(model, prompts)
    with applied(model, edit):
        after = states(model, [context + prompt for prompt in prompts])
        return divergences(head, before, model.get_output_embeddings(), after)


def check_against_plain(model: Any, edit: Edit) -> None:
    before = [plain(model, prompt) for prompt in PROMPTS]
    with applied(model, edit):
        after = [plain(model, prompt) for prompt in PROMPTS]
    expected = [float((p.exp() * (p - q)).sum()) for p, q in zip(before, after, strict=True)]
    assert min(expected) > 1e-3
    assert measured(model, edit) == pytest.approx(expected, rel=1e-3, abs=1e-6)


@families
@pytest.mark.parametrize("low_rank", [False, True])
def test_it_is_the_sum_over_the_vocabulary_of_p_times_the_log_ratio(family: str, low_rank: bool) -> None:
    model = tiny_model(family)
    edit = edit_of(model, family, low_rank)
    check_against_plain(model, edit)


@families
def test_no_edit_moves_nothing(family: str) -> None:
    assert measured(tiny_model(family), Edit(updates={})) == [0.0] * len(PROMPTS)


def test_no_more_distributions_are_made_than_meet_the_head_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("gpt2")
    edit, head = edit_of(model, "gpt2"), model.get_output_embeddings()
    expected = measured(model, edit)
    monkeypatch.setattr(divergence_module, "HEAD_CHUNK", 2)
    lengths: list[int] = []
    with hooked(head, lambda module, inputs, output: lengths.append(len(output))):
        assert measured(model, edit) == pytest.approx(expected, abs=1e-6)
    assert measured(model, edit, ()) == []
    assert lengths == [2, 2, 2, 2, 1, 1]


@families
def test_an_edit_of_the_head_is_measured_against_the_head_as_it_was(family: str) -> None:
    model = tiny_model(family)
    path = next(path for path, module in model.named_modules() if module is model.get_output_embeddings())
    shift = torch.randn(shape_of(model.get_submodule(path)), generator=torch.Generator().manual_seed(1))
    edit = Edit(updates={path: Dense(delta=shift)})
    check_against_plain(model, edit)


@families
def test_the_model_is_left_as_it_was(family: str) -> None:
    model = tiny_model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measured(model, edit_of(model, family))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_context_comes_before_the_prompt_of_the_edited_model_only() -> None:
    model, prompt = tiny_model("gpt2"), PROMPTS[0]
    p, q = plain(model, prompt), plain(model, "Now: " + prompt)
    value = measured(model, Edit(updates={}), [prompt], "Now: ")
    assert value == pytest.approx([float((p.exp() * (p - q)).sum())], rel=1e-3)
