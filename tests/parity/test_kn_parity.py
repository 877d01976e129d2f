"""kn as published against the KN baseline of the ROME release."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

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
    wanted = load_file(GOLDEN / "kn.safetensors")
    how, request = settings(kn, "kn", mode="published"), requests()[case]
    item, product = kn.question(tokenizer, request, how)
    scores = attributions(model, item, "published", how.steps, product)
    assert (scores - wanted[f"{case}/scores"]).norm() <= 1e-4 * scores.norm()
    assert torch.equal(kn.knowledge_neurons(model, tokenizer, request, how), wanted[f"{case}/neurons"])
    found = kn.direction(model, tokenizer, request, how)
    torch.testing.assert_close(found, wanted[f"{case}/direction"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_every_changed_matrix_equals_the_originals(case: int, golden: Path) -> None:
    model, tokenizer = golden_model("gpt2")
    made = kn.edit(model, tokenizer, [requests()[case]], settings(kn, "kn", mode="published"), context())
    with np.load(golden / "outputs/06_kn_gpt2.npz") as arrays:
        wanted = {name: arrays[name] for name in arrays.files if name.startswith(f"delta_case{case}__")}
    assert {f"delta_case{case}__{path}.weight" for path in made.updates} == wanted.keys()
    for path, update in made.updates.items():
        assert isinstance(update, Sparse)
        found = own_orientation(model.get_submodule(path), update.dense())
        delta = torch.from_numpy(wanted[f"delta_case{case}__{path}.weight"])
        torch.testing.assert_close(found, delta, atol=1e-6, rtol=0)
