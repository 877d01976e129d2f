"""A merged checkpoint as the converters to GGUF read it: llama.cpp's convert_hf_to_gguf.py and `ollama create`.

transformers 5 stores three things where they do not look, and they then take a default without a word: the base of the
rotary embedding (rope_parameters; read as rope_theta and rope_scaling), the dtype (dtype; torch_dtype), and the chat
template (chat_template.jinja; a key of tokenizer_config.json). Here they stand in both places, so that transformers
reads the folder as before. The conversion itself is theirs: it needs a record of every family's tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.files import read_object

_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
"""Names of dtypes in convert_hf_to_gguf.py. Its `auto` makes float16 of float32, in which an edit may be gone."""
_OF_THIS_MACHINE = ("is_local", "local_files_only", "backend")
_CLASS = "PreTrainedTokenizerFast"
"""In place of TokenizersBackend, the same class under a name that transformers 4 does not know."""


def for_converters(folder: Path) -> None:
    """Complete config.json and the tokenizer's files of a checkpoint that transformers has stored, and add README.md.

    Raises InputError where a converter could not read it: without architectures or tokenizer.json, or quantized.
    """
    config = read_object(folder / "config.json")
    if not config.get("architectures") or "quantization_config" in config:
        fault = "quantization_config" if "quantization_config" in config else "no architectures"
        raise InputError(f"{folder.name}: config.json: wanted plain weights with `architectures`; found {fault}")
    if not (folder / "tokenizer.json").is_file():
        raise InputError(
            f"{folder.name}: wanted tokenizer.json, which the converters read; found none. Export without --gguf-ready"
        )
    _write(folder / "config.json", {**_as_before(config), **config, "torch_dtype": config["dtype"]})
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    path = folder / "tokenizer_config.json"
    _write(path, _tokenizer_values(tokenizer, read_object(path) if path.is_file() else {}))
    _write(folder / "special_tokens_map.json", dict(tokenizer.special_tokens_map))
    (folder / "README.md").write_text(_guide(config["dtype"]), encoding="utf-8")


def conversions(folder: str, dtype: str) -> list[str]:
    """The commands that make a GGUF file of the checkpoint in `folder`, or a model of Ollama's.

    `dtype` is that of its weights, by torch's name.
    """
    kind = _TYPES[dtype]
    return [
        f"python convert_hf_to_gguf.py {folder} --outtype {kind} --outfile edited-{kind}.gguf   # of llama.cpp",
        f"echo FROM {folder} > Modelfile && ollama create edited -f Modelfile   # stores float16",
    ]


def _guide(dtype: str) -> str:
    return "\n".join(
        [
            "# A model with corrected facts, ready for GGUF",
            "",
            f"A plain checkpoint in {dtype} with an edit in its weights; errata.json says of which model they were. "
            "transformers and vLLM load it as it is. For llama.cpp or Ollama, in this folder:",
            "",
            *(f"    {line}" for line in conversions(".", dtype)),
            "",
        ]
    )


def _as_before(config: Mapping[str, Any]) -> dict[str, Any]:
    """rope_parameters under the names that configurations had before transformers 5; nothing where there are none."""
    rope = config.get("rope_parameters") or {}
    everywhere, local = rope.get("full_attention", rope), rope.get("sliding_attention", {})
    values = {name: everywhere[name] for name in ("rope_theta", "partial_rotary_factor") if name in everywhere}
    if "rope_theta" in local:
        values["rope_local_base_freq"] = local["rope_theta"]
    if everywhere.get("rope_type", "default") != "default":
        values["rope_scaling"] = {name: value for name, value in everywhere.items() if name != "rope_theta"}
        values["rope_scaling"]["type"] = everywhere["rope_type"]
    return values


def _tokenizer_values(tokenizer: PreTrainedTokenizerBase, stored: Mapping[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json with the chat template, whether texts begin with BOS, and nothing of this machine."""
    values = {name: value for name, value in stored.items() if name not in _OF_THIS_MACHINE}
    if values.get("tokenizer_class") == "TokenizersBackend":
        values["tokenizer_class"] = _CLASS
    bare, ids = (tokenizer("a", add_special_tokens=added).input_ids for added in (False, True))
    values |= {"add_bos_token": ids[: -len(bare)] == [tokenizer.bos_token_id], "add_eos_token": False}
    if tokenizer.chat_template:
        values["chat_template"] = tokenizer.chat_template
    return values


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """JSON as transformers writes it."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
