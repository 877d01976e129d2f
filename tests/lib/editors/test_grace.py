"""Editor grace: its keys and values, conflicts in a batch and over sessions, beside what test_contract.py says."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from lib.editors import grace
from lib.edits.apply import applied
from lib.edits.edit import compose
from lib.methods.locating import search_passes
from lib.models.architecture import architecture
from lib.models.tokens import encode_edits
from tests.helpers.baselines import REQUESTS, context, nll, same, settings
from tests.helpers.models import CONFIGS, byte_tokenizer, tiny_model

SHORT = {"layer": 1, "radius": 0.05, "scale": "relative", "steps": 12, "lr": 0.3}


def how(**changed: Any) -> Any:
    return settings(grace, "grace", **SHORT | changed)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("projection", ["up", "down"])
def test_the_key_is_what_enters_the_module_at_the_end_of_the_prompt(family: str, projection: str) -> None:
    model, tokenizer = tiny_model(family), byte_tokenizer()
    edit = grace.edit(model, tokenizer, REQUESTS, how(projection=projection), context())
    ((path, memory),) = edit.memories.items()
    inputs = []
    handle = model.get_submodule(path).register_forward_hook(lambda _, arguments, output: inputs.append(arguments[0]))
    for item in encode_edits(tokenizer, REQUESTS):
        model(torch.tensor([item.prompt]))
    handle.remove()
    torch.testing.assert_close(memory.keys, torch.stack([each[0, -1] for each in inputs]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(memory.radii, 0.05 * memory.keys.norm(dim=1))
    before, after = nll(model, tokenizer, replace(edit, memories={}), REQUESTS), nll(model, tokenizer, edit, REQUESTS)
    assert (after[:, 0] < before[:, 0]).all()
    unrelated = torch.tensor([[250, 3, 9, 40]])
    with applied(model, edit):
        edited = model(unrelated).logits
    assert torch.equal(edited, model(unrelated).logits)


@pytest.mark.parametrize("projection", ["up", "down"])
@pytest.mark.parametrize("family", CONFIGS)
def test_the_search_computes_the_blocks_below_the_memory_once(
    family: str, projection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: each of 40 steps read the whole model, of whose 30 blocks the last four can change: 20 s a step of
    400 edits."""
    model, tokenizer = tiny_model(family), byte_tokenizer()
    below = model.get_submodule(architecture(model).mlp_of(0))
    calls: list[int] = []
    handle = below.register_forward_hook(lambda _, inputs, output: calls.append(inputs[0].shape[1]))
    edit = grace.edit(model, tokenizer, REQUESTS, how(projection=projection), context())
    handle.remove()
    assert len(calls) == 2  # the keys, and the first pass of the search
    monkeypatch.setattr(search_passes, "cannot_split", lambda model: "not in this test")
    assert same(edit, grace.edit(model, tokenizer, REQUESTS, how(projection=projection), context()), tolerance=1e-4)


def test_how_far_a_search_is_counts_the_steps_of_all_its_batches() -> None:
    model, tokenizer, lengths = tiny_model("llama"), byte_tokenizer(), []

    def progress(steps: Any) -> Any:
        lengths.append(len(steps))
        return steps

    grace.edit(model, tokenizer, REQUESTS, how(), replace(context(micro_batch_tokens=8), progress=progress))
    assert lengths == [len(REQUESTS) * 12]


def test_values_do_not_depend_on_the_requests_beside_them() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    together = grace.edit_each(model, tokenizer, REQUESTS, how(), context())
    for request, edit in zip(REQUESTS, together, strict=True):
        alone = grace.edit(model, tokenizer, [request], how(), context(micro_batch_tokens=8))
        assert same(alone, edit, tolerance=1e-3)


def test_a_session_adds_to_the_memory_and_a_later_object_of_the_same_prompt_takes_the_place() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    first = grace.edit(model, tokenizer, REQUESTS[:2], how(), context())
    with applied(model, first):
        second = grace.edit(
            model, tokenizer, [replace(REQUESTS[0], target_new="Paris"), REQUESTS[2]], how(), context()
        )  # fmt: skip
    (total,) = compose(first, second).memories.values()
    assert len(total.keys) == 3
    (newest,) = second.memories.values()
    assert torch.equal(total.values[0], newest.values[0])


def test_a_value_may_begin_at_what_the_module_says() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    warm, cold = (
        grace.edit(model, tokenizer, REQUESTS, how(start=start, lr=1e-9), context()) for start in ("warm", "cold")
    )
    ((path, memory),) = warm.memories.items()
    module = model.get_submodule(path)
    torch.testing.assert_close(memory.values, module(memory.keys), atol=1e-4, rtol=1e-3)
    (cold_memory,) = cold.memories.values()
    assert 0 <= float(cold_memory.values.min()) < 0.2 < 0.8 < float(cold_memory.values.max()) <= 1
