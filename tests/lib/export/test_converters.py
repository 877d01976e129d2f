"""A checkpoint for the converters to GGUF: transformers reads it as before, and they find what they look for."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

from lib.core.errors import InputError
from lib.core.files import read_json
from lib.export.converters import conversions, for_converters
from lib.export.merge import stored_model, write_merged
from lib.export.merge import written as written_to
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer
from tests.lib.export.test_merge import base_folder, edit_of, logits

LLAMA_3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip
GEMMA_3 = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}


def checkpoint(folder: Path, **changed: Any) -> Path:
    """A folder without weights, as transformers 5 stores a model's other files."""
    values = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16", **changed}
    byte_tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(values))
    return folder


def test_the_edited_model_is_the_same_for_transformers_and_complete_for_converters(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "llama")
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(base)
    model = stored_model(base)
    edit = edit_of(model, "llama", "dense")
    write_merged(model, edit, base, tmp_path / "plain")
    with written_to(model, edit, base, tmp_path / "ready", complete=for_converters):
        pass
    plain, ready = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("plain", "ready"))
    assert torch.equal(logits(plain), logits(ready))
    config = read_json(tmp_path / "ready" / "config.json")
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["torch_dtype"] == config["dtype"] == "float32"
    assert config["rope_theta"] == model.config.rope_parameters["rope_theta"]
    values = read_json(tmp_path / "ready" / "tokenizer_config.json")
    assert values["chat_template"] == CHAT_TEMPLATE
    assert values["tokenizer_class"] == "PreTrainedTokenizerFast"
    reloaded = AutoTokenizer.from_pretrained(tmp_path / "ready")
    assert reloaded.chat_template == CHAT_TEMPLATE
    assert reloaded("Ada lives in Rome.").input_ids == tokenizer("Ada lives in Rome.").input_ids
    assert read_json(tmp_path / "ready" / "special_tokens_map.json") == reloaded.special_tokens_map
    assert "convert_hf_to_gguf.py . --outtype f32" in (tmp_path / "ready" / "README.md").read_text()


def test_rotary_embeddings_stand_under_their_earlier_names_too(tmp_path: Path) -> None:
    for_converters(checkpoint(tmp_path / "llama3", rope_parameters=LLAMA_3))
    config = read_json(tmp_path / "llama3" / "config.json")
    assert config["rope_theta"] == 5e5
    assert config["rope_parameters"] == LLAMA_3
    scaling = {name: value for name, value in LLAMA_3.items() if name != "rope_theta"}
    assert config["rope_scaling"] == {**scaling, "type": "llama3"}
    for_converters(checkpoint(tmp_path / "gemma3", rope_parameters=GEMMA_3))
    config = read_json(tmp_path / "gemma3" / "config.json")
    assert (config["rope_theta"], config["rope_local_base_freq"]) == (1e6, 1e4)
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 8.0, "type": "linear"}
    for_converters(checkpoint(tmp_path / "none"))
    assert not {"rope_theta", "rope_scaling"} & read_json(tmp_path / "none" / "config.json").keys()


@pytest.mark.parametrize("begins", [True, False])
def test_whether_texts_begin_with_bos_is_said(tmp_path: Path, begins: bool) -> None:
    folder = checkpoint(tmp_path / "ready")
    tokenizer = byte_tokenizer()
    tokenizer.bos_token = "<end>"
    if begins:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<end> $A", special_tokens=[("<end>", 0)]
        )
    tokenizer.save_pretrained(folder)
    for_converters(folder)
    values = read_json(folder / "tokenizer_config.json")
    assert (values["add_bos_token"], values["add_eos_token"]) == (begins, False)
    assert AutoTokenizer.from_pretrained(folder)("a").input_ids == tokenizer("a").input_ids


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"quantization_config": {"bits": 4}}, "found quantization_config"), ({"architectures": []}, "no architectures")],
)
def test_what_no_converter_reads_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        for_converters(checkpoint(tmp_path / "ready", **changed))


def test_without_tokenizer_json_it_is_refused(tmp_path: Path) -> None:
    (checkpoint(tmp_path / "ready") / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"wanted tokenizer\.json"):
        for_converters(tmp_path / "ready")


def test_the_commands_keep_the_dtype_of_the_weights() -> None:
    types = [conversions("model", dtype)[0].split("--outtype ")[1].split()[0] for dtype in ("bfloat16", "float16")]
    assert types == ["bf16", "f16"]
