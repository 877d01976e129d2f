"""The Edit: every kind is stored, composed, applied and undone, and what does not fit is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.core import params
from lib.edits.apply import applied, tied
from lib.edits.edit import Edit, compose
from lib.edits.store import load_edit, read_edit, save_edit, write_edit
from lib.edits.updates import Dense, LowRank, Sparse, Update, Vector, tensors_of
from tests.helpers.models import CONFIGS, tiny_model

PRESET = params.preset("models", "tiny", params.Model)
IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])
SITES = {
    "Conv1D": ("gpt2", "transformer.h.0.mlp.c_proj", 32, 128),
    "square Conv1D": ("gpt2", "transformer.h.1.attn.c_proj", 32, 32),
    "Linear": ("llama", "model.layers.1.mlp.down_proj", 32, 48),
    "square Linear": ("llama", "model.layers.0.self_attn.o_proj", 32, 32),
    "embedding": ("gptj", "transformer.wte", 32, 260),
    "tied embedding": ("gpt2", "transformer.wte", 32, 260),
    "tied head": ("gpt2", "lm_head", 260, 32),
}
KINDS = ("low rank", "dense", "sparse")


def update(kind: str, d_out: int, d_in: int, seed: int = 0, scale: float = 0.3) -> Any:
    generator = torch.Generator().manual_seed(seed)

    def values(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * scale

    if kind == "low rank":
        return LowRank(left=values(d_out, 3), right=values(3, d_in))
    if kind == "dense":
        return Dense(delta=values(d_out, d_in))
    if kind == "vector":
        return Vector(shift=values(d_out))
    index = torch.randperm(d_out * d_in, generator=generator)[: d_out * d_in // 4].sort().values
    return Sparse(index=index, value=values(len(index)), size=torch.tensor([d_out, d_in]))


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def unchanged(model: torch.nn.Module, before: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_edit_of_every_kind_with_contexts_and_state_comes_back_from_disk(tmp_path: Path) -> None:
    updates: dict[str, Update] = {
        f"model.layers.{kind.replace(' ', '_')}": update(kind, 8, 12) for kind in (*KINDS, "vector")
    }
    edit = Edit(updates=updates, contexts={"a": "New Fact: x\n"}, state={"keys": torch.eye(3)}, info={"editor": "ft"})
    save_edit(edit, tmp_path, tiny_model("llama"), PRESET)
    loaded = load_edit(tmp_path)
    assert loaded.updates.keys() == updates.keys()
    for path, expected in updates.items():
        restored = loaded.updates[path]
        assert type(restored) is type(expected)
        assert all(torch.equal(value, tensors_of(restored)[name]) for name, value in tensors_of(expected).items())
    assert loaded.contexts == edit.contexts
    assert torch.equal(loaded.state["keys"], torch.eye(3))
    assert loaded.info["editor"] == "ft"


def test_an_edit_of_a_view_of_another_tensor_is_stored_as_it_is_seen(tmp_path: Path) -> None:
    delta = update("dense", 12, 8).delta.T
    write_edit(Edit(updates={"a": Dense(delta=delta)}), tmp_path)
    assert torch.equal(read_edit(tmp_path).updates["a"].dense(), delta)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", SITES)
def test_an_applied_edit_computes_with_w_plus_dw_and_is_undone_to_the_bit(site: str, kind: str) -> None:
    family, path, d_out, d_in = SITES[site]
    model, by_hand = tiny_model(family), tiny_model(family)
    before, logits = snapshot(model), model(IDS).logits
    new_update = update(kind, d_out, d_in)
    module = by_hand.get_submodule(path)
    turned = new_update.dense() if isinstance(module, torch.nn.Linear) else new_update.dense().T
    module.weight = torch.nn.Parameter(module.weight + turned)  # only this module's, where the weight is shared
    weights = list(model.parameters())
    with applied(model, Edit(updates={path: new_update})):
        torch.testing.assert_close(model(IDS).logits, by_hand(IDS).logits, atol=2e-4, rtol=2e-4)
        assert not torch.allclose(model(IDS).logits, logits, atol=1e-4)
    assert unchanged(model, before)
    assert torch.equal(model(IDS).logits, logits)
    assert all(parameter is weight for parameter, weight in zip(model.parameters(), weights, strict=True))
    assert tied(model) == tied(tiny_model(family))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_undoing_is_exact_in_half_precision_too(half: torch.dtype) -> None:
    model = tiny_model("llama").to(half)
    before = snapshot(model)
    edit = Edit(updates={"model.layers.1.mlp.down_proj": update("dense", 32, 48, scale=100.0)})
    logits = model(IDS).logits
    with applied(model, edit):
        assert not torch.equal(model(IDS).logits, logits)
    assert unchanged(model, before)
    assert torch.equal(model(IDS).logits, logits)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["dense", "sparse", "vector"])
def test_in_half_precision_an_update_below_the_spacing_of_the_weights_is_in_force(kind: str, half: torch.dtype) -> None:
    linear = torch.nn.Linear(6, 4)
    linear.weight.data.fill_(1.0)
    linear.bias.data.fill_(1.0)
    model = torch.nn.Sequential(linear).to(half)
    inputs = torch.tensor([[1.0, -1.0, 1.0, -1.0, 0.0, -1.0]]).to(half)  # the outputs are 0
    small = update(kind, 4, 6, scale=torch.finfo(half).eps / 20)
    added = small.shift if kind == "vector" else small.dense() @ inputs[0].float()
    with applied(model, Edit(updates={"0.bias" if kind == "vector" else "0": small})):
        torch.testing.assert_close(model(inputs)[0].float(), added, rtol=2e-2, atol=1e-7)


@given(seed=st.integers(0, 99), scale=st.sampled_from([1e-6, 1.0, 1e6]), kind=st.sampled_from(KINDS))
def test_whatever_is_added_is_gone_afterwards(seed: int, scale: float, kind: str) -> None:
    weight = torch.nn.Linear(6, 9, bias=True)
    model = torch.nn.Sequential(weight)
    before = snapshot(model)
    updates = {"0": update(kind, 9, 6, seed, scale), "0.bias": update("vector", 9, 6, seed, scale)}
    with pytest.raises(KeyError), applied(model, Edit(updates=updates)):
        raise KeyError("in the middle")
    assert unchanged(model, before)


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_a_composed_edit_equals_one_after_the_other(first: str, second: str) -> None:
    model = tiny_model("gpt2")
    path, second_path, bias = "transformer.h.0.mlp.c_proj", "transformer.h.1.mlp.c_proj", "transformer.h.1.ln_1.bias"
    shift = update("vector", 32, 0)
    first_edit = Edit(updates={path: update(first, 32, 128, 1), bias: shift}, contexts={"a": "1", "b": "1"})
    two = Edit(
        updates={path: update(second, 32, 128, 2), second_path: update("dense", 32, 128, 3), bias: shift},
        contexts={"b": "2"}, state={"s": torch.ones(1)}, info={"editor": "x"},
    )  # fmt: skip
    combined = compose(first_edit, two)
    with applied(model, first_edit), applied(model, two):
        expected = model(IDS).logits
    with applied(model, combined):
        torch.testing.assert_close(model(IDS).logits, expected, atol=2e-4, rtol=2e-4)
    assert isinstance(combined.updates[path], LowRank if first == second == "low rank" else Dense)
    assert combined.contexts == {"a": "1", "b": "2"}
    assert (combined.info, list(combined.state)) == ({"editor": "x"}, ["s"])


def test_low_rank_updates_become_a_matrix_where_that_is_smaller() -> None:
    low = update("low rank", 5, 40)
    combined = compose(Edit(updates={"a": low}), Edit(updates={"a": low})).updates["a"]
    torch.testing.assert_close(combined.dense(), 2 * low.dense())  # type: ignore[union-attr]
    assert isinstance(combined, Dense)


def test_a_vector_and_a_matrix_under_one_path_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="a vector and a matrix under one path"):
        compose(Edit(updates={"a": update("vector", 4, 4)}), Edit(updates={"a": update("dense", 4, 4)}))


GOOD = "model.layers.0.mlp.down_proj"
WRONG: dict[str, tuple[str, Update, str]] = {
    "a path that is not there": ("model.layers.9.mlp.down_proj", update("dense", 32, 48), "has no such module"),
    "a vector at a module's path": (GOOD, update("vector", 32, 0), "has no such module"),
    "a transposed matrix": (GOOD, update("dense", 48, 32), r"wanted shape \(32, 48\).*found \(48, 32\)"),
    "a low rank of another width": (GOOD, update("low rank", 32, 47), r"found \(32, 47\)"),
    "a short vector": ("model.norm.weight", update("vector", 31, 0), r"wanted shape \(32,\)"),
    "a module that is no matrix": ("model.norm", update("dense", 32, 32), "wanted nn.Linear, Conv1D or nn.Embedding"),
    "a value that is not finite": (GOOD, Dense(delta=torch.full((32, 48), torch.nan)), "not finite"),
    "an infinite factor": (GOOD, LowRank(left=torch.ones(32, 1) / 0, right=torch.zeros(1, 48)), "not finite"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_what_does_not_fit_is_refused_with_the_model_untouched(mistake: str) -> None:
    path, wrong, message = WRONG[mistake]
    model = tiny_model("llama")
    before = snapshot(model)
    edit = Edit(updates={"model.layers.1.mlp.down_proj": update("dense", 32, 48), path: wrong})
    with pytest.raises(ValueError, match=message), applied(model, edit):
        pass
    assert unchanged(model, before)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_value_that_is_not_finite_is_not_stored(tmp_path: Path) -> None:
    _, wrong, message = WRONG["a value that is not finite"]
    with pytest.raises(ValueError, match=message):
        save_edit(Edit(updates={GOOD: wrong}), tmp_path / "edit", tiny_model("llama"), PRESET)
    assert not (tmp_path / "edit").exists()


@pytest.mark.parametrize("family", CONFIGS)
def test_only_the_embedding_and_the_head_of_a_tied_model_share_a_weight(family: str) -> None:
    shared = {"gpt2": {"transformer.wte", "lm_head"}, "gemma3": {"model.embed_tokens", "lm_head"}}
    assert tied(tiny_model(family)) == shared.get(family, set())
