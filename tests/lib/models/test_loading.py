"""A stored model is whole, or it is refused: nothing of it is drawn at random."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib.core.errors import InputError
from lib.models.loading import read_model
from tests.helpers.models import CONFIGS, tiny_model


@pytest.mark.parametrize("family", CONFIGS)
def test_what_transformers_has_stored_is_whole(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    model.save_pretrained(tmp_path)
    stored = read_model(tmp_path, "auto").state_dict()
    assert all(torch.equal(stored[name], weight) for name, weight in model.state_dict().items())


def test_a_folder_that_lacks_weights_is_refused_by_their_names(tmp_path: Path) -> None:
    """The fault: transformers drew them at random, and said so in a table that nobody reads."""
    tiny_model("llama").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"wanted all weights of the model; found none of 1 of them .*1\.mlp\.up_proj"):
        read_model(tmp_path, torch.float32)
