"""Inputs of modules in a forward pass, which ends where the last of them is read."""

import pytest
import torch
from torch import Tensor

from lib.models.hooks import hooked, inputs_read
from tests.helpers.models import tiny_model

FAMILIES = {
    "gpt2": ("transformer.h.0.mlp.c_proj", "transformer.h.1"),
    "llama": ("model.layers.0.mlp.down_proj", "model.layers.1"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_inputs_are_those_of_the_whole_pass_and_blocks_behind_them_do_not_compute(family: str) -> None:
    model, (path, behind) = tiny_model(family), FAMILIES[family]
    ids = torch.tensor([[5, 6, 7], [8, 9, 3]])
    expected: list[Tensor] = []
    with torch.no_grad(), hooked(model.get_submodule(path), lambda _, inputs, __: expected.append(inputs[0])):
        model(ids)
    read: dict[str, Tensor] = {}
    passes: list[str] = []
    with torch.no_grad(), hooked(model.get_submodule(behind), lambda *_: passes.append(behind)):
        for _ in range(2):
            with inputs_read(model, [path], read.__setitem__):
                model(ids)
        assert passes == []
        model(ids)
        assert passes == [behind]  # and no hook is left
    assert torch.equal(read[path], expected[0])


def test_an_error_of_the_pass_is_no_end_of_it() -> None:
    model = tiny_model("llama")
    with pytest.raises(IndexError), inputs_read(model, ["model.layers.0.mlp.down_proj"], lambda *_: None):
        model(torch.tensor([[10**6]]))
    with pytest.raises(AttributeError), inputs_read(model, ["model.layers.77"], lambda *_: None):
        model(torch.tensor([[1]]))
