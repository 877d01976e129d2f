"""kn as published against the KN baseline of the ROME release."""

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib.editors import kn
from lib.edits.apply import own_orientation
from lib.edits.updates import Sparse
from lib.methods.locating.attribution import attributions
from tests.helpers.baselines import context, settings
from tests.helpers.models import golden_model
from tests.parity.editing import GOLDEN, requests

CASES = range(6)


@pytest.mark.parametrize("case", CASES)
def test_attributions_neurons_and_direction_equal_the_original(case: int) -> None:
    model, tokenizer = golden_model("gpt2")
    expected = load_file(GOLDEN / "kn.safetensors")
    how, request = settings(kn, "kn", mode="published"), requests()[case]
    item, product = kn.question(tokenizer, request, how)
    scores = attributions(model, item, "published", how.steps, product)
    assert (scores - expected[f"{case}/scores"]).norm() <= 1e-4 * scores.norm()
    assert torch.equal(kn.knowledge_neurons(model, tokenizer, request, how), expected[f"{case}/neurons"])
    direction = kn.direction(model, tokenizer, request, how)
    torch.testing.assert_close(direction, expected[f"{case}/direction"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_every_changed_matrix_equals_the_originals(case: int) -> None:
    """The original adds one direction to the columns of the chosen neurons, and changes nothing else."""
    model, tokenizer = golden_model("gpt2")
    reference = load_file(GOLDEN / "kn.safetensors")
    edit = kn.edit(model, tokenizer, [requests()[case]], settings(kn, "kn", mode="published"), context())
    deltas: dict[str, Tensor] = {}
    for layer, neuron in reference[f"{case}/neurons"].tolist():
        path = f"transformer.h.{layer}.mlp.c_proj"
        delta = deltas.setdefault(path, torch.zeros_like(model.get_submodule(path).weight))
        delta[neuron] = reference[f"{case}/direction"]
    assert edit.updates.keys() == deltas.keys()
    for path, update in edit.updates.items():
        assert isinstance(update, Sparse)
        change = own_orientation(model.get_submodule(path), update.dense())
        torch.testing.assert_close(change, deltas[path], atol=1e-6, rtol=0)
