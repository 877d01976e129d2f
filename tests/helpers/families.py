"""Random models of many families of transformers at a tiny size: what the check at load is tried on."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lib.models.reading import Rows, Texts
from tests.helpers.models import VOCABULARY

_HEADS = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_NEOX = {**_HEADS, "intermediate_size": 48, "max_position_embeddings": 128}
_LLAMA = {**_NEOX, "num_key_value_heads": 2}
_GPT = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
_HEAD_8 = {**_LLAMA, "head_dim": 8}
_GEMMA = {**_HEAD_8, "query_pre_attn_scalar": 8, "sliding_window": 6}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
_LOCAL_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_MAMBA = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
_MAMBA_2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_chunk_size": 8}
_LATENT = {
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8,
    "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2,
    "first_k_dense_replace": 1, "moe_intermediate_size": 24, "n_shared_experts": 1,
}  # fmt: skip
_MIXED = ["sliding_attention", "full_attention"]
_LINEAR = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family, and what the check should make of it."""

    settings: dict[str, Any]
    rows: Rows = "shared"
    texts: Texts = "batched"
    refusal: str | None = None
    """Part of the message, where no way of reading it is right."""


def _isolated(texts: Texts, **settings: Any) -> Family:
    return Family(settings=settings, rows="isolated", texts=texts)


_CAPPED = "scales or caps"
FAMILIES: dict[str, Family] = {
    "gpt2": Family(settings=_GPT),
    "gptj": Family(settings={**_GPT, "rotary_dim": 8}),
    "gpt_bigcode": Family(settings=_GPT),
    "codegen": Family(settings={**_GPT, "rotary_dim": 4}),
    "gpt_neox": Family(settings=_NEOX),
    "opt": Family(settings={**_HEADS, "ffn_dim": 48, "max_position_embeddings": 128, "word_embed_proj_dim": 32}),
    "biogpt": Family(settings=_NEOX),
    "falcon": Family(settings={**_HEADS, "alibi": False}),
    "llama": Family(settings=_LLAMA),
    "mistral": Family(settings={**_LLAMA, "sliding_window": 16}),
    "mistral:4096": Family(settings={**_LLAMA, "sliding_window": 4096, "max_position_embeddings": 8192}),
    "mixtral": Family(settings={**_LLAMA, **_LOCAL_EXPERTS}),
    "qwen2": Family(settings={**_LLAMA, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen2_moe": Family(settings={**_LLAMA, **_EXPERTS, "shared_expert_intermediate_size": 24}),
    "qwen3": Family(settings=_HEAD_8),
    "qwen3_moe": Family(settings={**_HEAD_8, **_EXPERTS}),
    "gemma": Family(settings=_HEAD_8),
    "gemma3_text": Family(settings={**_GEMMA, "layer_types": _MIXED}),
    "gpt_oss": Family(settings={**_HEAD_8, **_LOCAL_EXPERTS, "sliding_window": 6, "layer_types": _MIXED}),
    "phi": Family(settings=_LLAMA),
    "phi3": Family(settings={**_LLAMA, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 0}),
    "stablelm": Family(settings=_LLAMA),
    "starcoder2": Family(settings={**_LLAMA, "sliding_window": 6}),
    "olmo2": Family(settings=_LLAMA),
    "olmo3": Family(settings={**_LLAMA, "sliding_window": 6}),
    "olmoe": Family(settings={**_LLAMA, **_EXPERTS}),
    "granite": Family(settings=_LLAMA),
    "deepseek_v3": Family(settings={**_LLAMA, **_LATENT}),
    "glm4": Family(settings={**_HEAD_8, "pad_token_id": 0}),
    "smollm3": Family(settings={**_LLAMA, "pad_token_id": 0}),
    "exaone4": Family(settings={**_LLAMA, "sliding_window": 6, "sliding_window_pattern": 2}),
    "gpt_neo": _isolated(
        "single", vocab_size=VOCABULARY, hidden_size=32, num_layers=2, num_heads=4, max_position_embeddings=128,
        window_size=6, attention_types=[[["global", "local"], 1]],
    ),
    "bloom": _isolated("single", vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4),
    "falcon:alibi": _isolated("single", **_HEADS, alibi=True),
    "mpt": _isolated("single", vocab_size=VOCABULARY, d_model=32, n_heads=4, n_layers=2, max_seq_len=128),
    "mamba": _isolated("single", **_MAMBA),
    "falcon_mamba": _isolated("single", **_MAMBA),
    "mamba2": _isolated("single", **_MAMBA, num_heads=8, head_dim=8, n_groups=1, chunk_size=8),
    "lfm2": _isolated("single", **_LLAMA, block_ff_dim=48, layer_types=["conv", "full_attention"]),
    "falcon_h1": _isolated("single", **_HEAD_8, **_MAMBA_2, mamba_d_ssm=64),
    "bamba": _isolated("recomputed", **_LLAMA, **_MAMBA_2, attn_layer_indices=[1]),
    "granitemoehybrid": _isolated(
        "single", **_LLAMA, **_MAMBA_2, num_local_experts=4, shared_intermediate_size=24,
        layer_types=["mamba", "attention"],
    ),
    "jamba": _isolated(
        "single", **_LLAMA, num_experts=2, num_experts_per_tok=1, attn_layer_period=2, attn_layer_offset=1,
        expert_layer_period=2, expert_layer_offset=1, mamba_d_state=8, mamba_dt_rank=4, use_mamba_kernels=False,
    ),
    "zamba2": _isolated(
        "single", **_LLAMA | {"num_hidden_layers": 4, "num_key_value_heads": 4}, mamba_d_state=8, mamba_ngroups=1,
        layers_block_type=["mamba", "hybrid", "mamba", "hybrid"], n_mamba_heads=8, mamba_headdim=8, chunk_size=8,
        use_mem_rope=True, num_mem_blocks=1, use_mamba_kernels=False,
    ),
    "qwen3_next": _isolated(
        "single", **_HEAD_8, **_EXPERTS, **_LINEAR, shared_expert_intermediate_size=24,
        layer_types=["linear_attention", "full_attention"],
    ),
    "minimax": _isolated(
        "recomputed", **_HEAD_8, **_LOCAL_EXPERTS, layer_types=["linear_attention", "full_attention"], block_size=8
    ),
    "rwkv": _isolated(
        "recomputed", vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32,
        intermediate_size=48, context_length=128,
    ),
    "recurrent_gemma": Family(
        settings=_LLAMA | {
            "lru_width": 32, "attention_window_size": 6, "block_types": ["recurrent", "attention"],
            "num_key_value_heads": 1,
        },
        refusal=_CAPPED,
    ),
    "gemma2": Family(settings=_GEMMA, refusal=_CAPPED),
    "cohere": Family(settings=_LLAMA, refusal=_CAPPED),
    "granite:scaled": Family(settings={**_LLAMA, "logits_scaling": 4.0}, refusal=_CAPPED),
    "llama4_text": Family(
        settings={
            **_HEAD_8, "num_local_experts": 2, "intermediate_size_mlp": 48, "attention_chunk_size": 8,
            "moe_layers": [1], "no_rope_layers": [1, 0],
        },
        refusal="does not split",
    ),
    "xlnet": Family(
        settings={"vocab_size": VOCABULARY, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
        refusal="plain forward pass",
    ),
}  # fmt: skip
"""By model_type; what follows a colon tells two of one type apart."""


def family_model(name: str, seed: int = 0) -> Any:
    """A random model of the family `name` in evaluation mode, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = AutoConfig.for_model(name.partition(":")[0], **FAMILIES[name].settings)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            parameter.data.normal_(std=0.2) if parameter.dim() > 1 else None
    return model.eval().requires_grad_(False)
