"""A memory beside a module: the rule by which entries are added, and what it says near its keys and far from them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.core import params
from lib.core.errors import InputError
from lib.edits.apply import applied
from lib.edits.edit import Edit, compose
from lib.edits.memory import Memory, remembered
from lib.edits.store import digests, load_edit, read_edit, save_edit, write_edit
from lib.edits.updates import LowRank
from lib.export.merge import merged
from lib.models.architecture import architecture
from tests.helpers.baselines import nothing_left_behind
from tests.helpers.models import tiny_model

IDS = torch.tensor([[5, 6, 7, 8]])


def entry(first: float, label: int, value: float = 0.0, radius: float = 1.0) -> Memory:
    """A key at (first, 3) of this label."""
    return Memory(
        keys=torch.tensor([[first, 3.0]]), values=torch.tensor([[value]]), radii=torch.tensor([radius]),
        labels=torch.tensor([label]),
    )  # fmt: skip


def test_an_entry_far_from_all_keys_is_added_as_it_is() -> None:
    memory = remembered(entry(0.0, 1), entry(2.5, 2))
    assert memory.keys[:, 0].tolist() == [0.0, 2.5]
    assert memory.radii.tolist() == [1.0, 1.0]


def test_near_a_key_of_another_label_the_radii_shrink_to_half_of_the_distance() -> None:
    memory = remembered(entry(0.0, 1, 7.0), entry(0.8, 2, 9.0))
    assert memory.values.flatten().tolist() == [7.0, 9.0]
    assert memory.radii.tolist() == pytest.approx([0.4 * (1 - 1e-5), 0.4])
    assert memory.radii.sum() < 0.8


def test_near_a_key_of_its_own_label_that_keys_radius_grows_to_reach_it() -> None:
    memory = remembered(entry(0.0, 1, 7.0), entry(1.5, 1, 9.0))
    assert memory.values.tolist() == [[7.0]]
    assert memory.radii.tolist() == pytest.approx([1.5 + 1e-3 * math.hypot(1.5, 3)])
    assert torch.equal(remembered(memory, entry(0.5, 1)).radii, memory.radii)  # it reaches that far already


def test_an_input_that_a_radius_grew_to_is_within_it_after_rounding() -> None:
    model, (edit, path) = tiny_model("llama"), beside_layer(0.5)
    generator = torch.Generator().manual_seed(3)
    shift = torch.randn(edit.memories[path].keys.shape, generator=generator)
    shifted = edit.memories[path].keys + 0.6 * shift / shift.norm()
    grown = remembered(edit.memories[path], replace(edit.memories[path], keys=shifted))
    inputs = shifted * (1 + 1e-6 * torch.randn(64, shifted.shape[1], generator=generator))
    module = model.get_submodule(path)
    with applied(model, Edit(updates={}, memories={path: grown})):
        assert (module(inputs) == 5.0).all()


def test_an_entry_at_a_keys_place_takes_it() -> None:
    memory = remembered(remembered(entry(0.0, 1, 7.0), entry(4.0, 1)), entry(0.0, 2, 9.0))
    assert memory.values[:, 0].tolist() == [9.0, 0.0]
    assert memory.labels.tolist() == [2, 1]


def beside_layer(radius: float) -> tuple[Edit, str]:
    """A memory whose only key is what enters layer 0's down projection at the third of IDS."""
    model = tiny_model("llama")
    path = architecture(model).mlp_out_of(0)
    module, inputs = model.get_submodule(path), []
    handle = module.register_forward_hook(lambda _, arguments, output: inputs.append(arguments[0][0, 2]))
    model(IDS)
    handle.remove()
    memory = Memory(
        keys=inputs[0][None].clone(), values=torch.full((1, module.out_features), 5.0), radii=torch.tensor([radius]),
        labels=torch.tensor([1]),
    )  # fmt: skip
    return Edit(updates={}, memories={path: memory}, info={"editor": "grace"}), path


def test_the_value_is_said_near_the_key_and_nothing_changes_elsewhere(tmp_path: Path) -> None:
    model, (edit, path) = tiny_model("llama"), beside_layer(0.01)
    write_edit(edit, tmp_path)
    assert [*digests(tmp_path)] == ["memories.safetensors"]
    outputs = []
    handle = model.get_submodule(path).register_forward_hook(lambda _, arguments, output: outputs.append(output[0]))
    model(IDS)
    handle.remove()
    with applied(model, read_edit(tmp_path)):
        handle = model.get_submodule(path).register_forward_hook(lambda _, arguments, output: outputs.append(output[0]))
        logits = model(IDS).logits
        handle.remove()
        assert torch.equal(model(IDS[:, :2]).logits, tiny_model("llama")(IDS[:, :2]).logits)
    before, after = outputs
    assert torch.equal(after[:2], before[:2])
    assert (after[2] == 5.0).all()
    assert not torch.equal(logits[0, 2], model(IDS).logits[0, 2])


def test_a_memory_beside_a_lora_edit_is_not_taken_for_an_adapter(tmp_path: Path) -> None:
    model, (memory, path) = tiny_model("llama"), beside_layer(0.01)
    module = model.get_submodule(path)
    update = LowRank(left=torch.ones(module.out_features, 1), right=torch.ones(1, module.in_features))
    lora = Edit(updates={path: update}, info={"editor": "lora"})
    save_edit(compose(memory, lora), tmp_path, model, params.preset("models", "tiny", params.Model))
    assert [*digests(tmp_path)] == ["updates.safetensors", "memories.safetensors"]
    assert {*load_edit(tmp_path).updates} == {*load_edit(tmp_path).memories} == {path}


def test_what_does_not_fit_is_refused_and_leaves_nothing_behind() -> None:
    model, (edit, path) = tiny_model("llama"), beside_layer(0.01)
    for wrong, message in (
        (Edit(updates={}, memories={"nowhere": edit.memories[path]}), "no such module"),
        (Edit(updates={}, memories={path: entry(0.0, 1)}), "wanted shape"),
        (
            Edit(updates={}, memories={path: replace(edit.memories[path], radii=torch.tensor([torch.nan]))}),
            "not finite",
        ),
    ):
        with nothing_left_behind(model), pytest.raises(InputError, match=message), applied(model, wrong):
            pass
    with pytest.raises(InputError, match="edit by grace is a memory"):
        merged(model, edit)


def test_composed_edits_have_the_memory_of_all_entries_in_turn() -> None:
    first, second = (Edit(updates={}, memories={"m": entry(x, label)}) for x, label in ((0.0, 1), (0.8, 2)))
    memory = compose(first, second).memories["m"]
    expected = remembered(first.memories["m"], second.memories["m"])
    assert torch.equal(memory.keys, expected.keys)
    assert torch.equal(memory.radii, expected.radii)
