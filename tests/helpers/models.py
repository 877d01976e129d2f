"""Tiny random models of the supported families, and a byte-level tokenizer, for tests."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from lib.runtime.quiet import quiet_transformers

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
VOCABULARY = 260
_ROTARY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}
CONFIGS: dict[str, Any] = {
    "gpt2": lambda: GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128),
    "gptj": lambda: GPTJConfig(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128, rotary_dim=8),
    "neox": lambda: GPTNeoXConfig(**_ROTARY),
    "llama": lambda: LlamaConfig(**_ROTARY, num_key_value_heads=4),
    "mistral": lambda: MistralConfig(**_ROTARY, num_key_value_heads=2, sliding_window=6),
    "qwen3": lambda: Qwen3Config(**_ROTARY, num_key_value_heads=2, head_dim=8),
    "gemma3": lambda: Gemma3TextConfig(
        **_ROTARY,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=6,
        layer_types=["sliding_attention", "full_attention"],
    ),
}
TARGETS = {
    "gpt2": ["c_attn", "c_proj", "c_fc"],
    "gptj": ["q_proj", "v_proj", "fc_out", "wte"],
    "neox": ["query_key_value", "dense_4h_to_h"],
    "llama": ["q_proj", "o_proj", "down_proj"],
    "mistral": ["q_proj", "down_proj"],
    "qwen3": ["q_proj", "down_proj"],
    "gemma3": ["q_proj", "down_proj"],
}


CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}</>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


def tiny_model(family: str, seed: int = 0) -> Any:
    """A random model of this family in evaluation mode, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(CONFIGS[family]())
        for parameter in model.parameters():
            parameter.data.normal_(std=0.2) if parameter.dim() > 1 else None
    return model.eval().requires_grad_(False)


def golden_model(name: str) -> tuple[Any, Any]:
    """A trained tiny model (gpt2, gptj or llama) that the reference values were computed on, and its tokenizer."""
    folder = GOLDEN / "models" / name
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(folder)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, id 0 is the end of text; no beginning-of-text token, as with GPT-2."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(vocab={"<end>": 0} | {character: i for i, character in enumerate(alphabet, 1)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<end>",
        pad_token="<end>",
        model_input_names=["input_ids", "attention_mask"],
    )
