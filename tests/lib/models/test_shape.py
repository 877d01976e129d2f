"""A model's shape is what its config says, wherever it lies and whatever it is called."""

from pathlib import Path

import pytest
from transformers import Gemma3TextConfig, GPT2Config, GPTJConfig, LlamaConfig, PretrainedConfig

from lib.core.files import write_json
from lib.models.architecture import shape
from lib.models.loading import load_shape
from lib.models.manifest import MANIFEST


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (GPT2Config(n_layer=48, n_embd=1600), "gpt2-48-1600"),
        (GPTJConfig(), "gptj-28-4096"),
        (LlamaConfig(num_hidden_layers=30, hidden_size=576, intermediate_size=1536), "llama-30-576-1536"),
        (Gemma3TextConfig(num_hidden_layers=18, hidden_size=640, intermediate_size=2048), "gemma3_text-18-640-2048"),
    ],
)
def test_a_shape_is_family_blocks_hidden_size_and_the_inner_size_that_the_config_names(
    config: PretrainedConfig, name: str
) -> None:
    assert shape(config) == name


def test_gpt2_xl_is_known_from_a_folder_of_any_name(tmp_path: Path) -> None:
    GPT2Config(n_layer=48, n_embd=1600).save_pretrained(tmp_path / "mine")
    write_json(tmp_path / "base" / MANIFEST, {"source": "folder", "name": str(tmp_path / "mine")})
    assert load_shape(tmp_path / "base") == "gpt2-48-1600"
