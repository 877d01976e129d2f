"""Editor kn: knowledge neurons found and rewritten, beside what test_contract.py says of every editor."""

from dataclasses import replace

import pytest
import torch

from lib.editors import kn
from lib.edits.updates import Dense, Sparse
from lib.methods.locating.attribution import attributions
from lib.models.architecture import architecture
from lib.models.check import reading_of
from lib.models.packing import Item
from tests.helpers.baselines import REQUESTS, context, nothing_left_behind, same, settings
from tests.helpers.models import CONFIGS, byte_tokenizer, tiny_model

ITEM = Item(prompt=(5, 9, 7), targets=((11, 12),))


def test_as_published_other_neurons_are_rewritten() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    with nothing_left_behind(model):
        corrected, published = (
            kn.edit(model, tokenizer, REQUESTS[:1], settings(kn, "kn", mode=mode), context())
            for mode in ("corrected", "published")
        )
    assert min(corrected.info["neurons"], published.info["neurons"]) > 0
    assert not same(corrected, published)


@pytest.mark.parametrize("family", CONFIGS)
def test_the_neurons_are_pushed_from_the_old_answer_to_the_new(family: str) -> None:
    model, tokenizer = tiny_model(family), byte_tokenizer()
    how = settings(kn, "kn")
    change = kn.direction(model, tokenizer, REQUESTS[0], how)
    head = model.get_submodule(architecture(model).head).weight
    rome, oslo = (tokenizer(letter).input_ids[0] for letter in "RO")  # the first byte after the space differs
    assert torch.allclose(change, head[rome] - 2 * head[oslo], atol=1e-6)
    edit = kn.edit(model, tokenizer, REQUESTS[:1], how, context())
    for path, update in edit.updates.items():
        assert isinstance(update, Sparse | Dense)
        layer = int(path.split(".")[2])
        columns = update.dense().any(0).nonzero()[:, 0]
        neurons = kn.knowledge_neurons(model, tokenizer, REQUESTS[0], how)
        assert columns.tolist() == neurons[neurons[:, 0] == layer, 1].tolist()
        assert all(torch.allclose(update.dense()[:, column], change) for column in columns)


PLAIN = [family for family in CONFIGS if family != "gemma3"]
"""Families whose MLP's output is added as it is; Gemma's goes through a norm, which has no gradient at a scale of 0."""


@pytest.mark.parametrize("family", PLAIN)
def test_attributions_add_up_to_what_the_layer_gives_to_the_probability(family: str) -> None:
    model = tiny_model(family)
    scores = attributions(model, ITEM, "corrected", steps=401, product=False)
    assert scores.shape[0] == 2
    probability = {}
    for scale in (0.0, 1.0):
        module = model.get_submodule(architecture(model).mlp_out_of(1))

        def scaled(module: object, inputs: tuple[torch.Tensor, ...], scale: float = scale) -> tuple[torch.Tensor, ...]:
            changed = inputs[0].clone()
            changed[:, 2] *= scale
            return (changed,)

        handle = module.register_forward_pre_hook(scaled)
        log_p = model(torch.tensor([[5, 9, 7, 11]])).logits[0].log_softmax(-1)
        handle.remove()
        probability[scale] = (log_p[2, 11].exp() + log_p[3, 12].exp()).item() / 2
    assert scores[1].sum().item() == pytest.approx(probability[1.0] - probability[0.0], rel=2e-2, abs=1e-6)


def test_a_long_target_does_not_vanish() -> None:
    scores = attributions(
        tiny_model("llama"), Item(prompt=(5, 9), targets=(tuple(range(20, 90)),)), "corrected", 5, True
    )
    assert scores.isfinite().all()
    assert scores.abs().max() > 1e-3


def test_updates_of_several_requests_add_up() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    how = settings(kn, "kn")
    edit_of_two = kn.edit(model, tokenizer, REQUESTS[:2], how, context())
    alone = [kn.edit(model, tokenizer, [request], how, context()) for request in REQUESTS[:2]]
    for path, update in edit_of_two.updates.items():
        parts = [single_edit.updates[path] for single_edit in alone if path in single_edit.updates]
        dense = [update.dense() for update in parts if isinstance(update, Sparse | Dense)]
        assert isinstance(update, Sparse | Dense)
        torch.testing.assert_close(update.dense(), torch.stack(dense).sum(0))


def test_few_neurons_are_stored_sparsely() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    edit = kn.edit(model, tokenizer, REQUESTS[:1], settings(kn, "kn", threshold=0.9), context())
    assert edit.updates
    assert all(isinstance(update, Sparse) for update in edit.updates.values())


def test_mistakes_are_errors() -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    with pytest.raises(ValueError, match=r"request 'edit1'.*needs target_true; 1 of 2"):
        kn.edit(model, tokenizer, [REQUESTS[0], replace(REQUESTS[1], target_true=None)], settings(kn, "kn"), context())
    reading_of(model)  # as a loaded model is checked
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"request 'edit0'.*no neuron"):
        kn.edit(model, tokenizer, REQUESTS[:1], settings(kn, "kn"), context())
