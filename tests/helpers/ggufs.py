"""A GGUF file of a few hundred weights, written for tests as llama.cpp's converters write one."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants

BOS, EOS = 0, 1
WIDTH, INNER = 8, 12
_TEXT = "The capital of France is"
TEMPLATE = "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{% endfor %}"


def write_gguf(
    path: Path,
    *,
    tokenizer: str = "gpt2",
    add_bos: bool | None = True,
    bos: int | None = BOS,
    architecture: str = "llama",
    width: int = WIDTH,
    quantised: bool = False,
) -> dict[str, npt.NDArray[np.float32]]:
    """Write a random Llama of one block; its weights by their names in the file.

    Args:
        path: Where to write.
        tokenizer: "gpt2" (byte-level BPE) or "llama" (SentencePiece), with the letters of one sentence.
        add_bos: What the file says of putting BOS before every text; None leaves it unsaid.
        bos: The id of BOS in the metadata; None leaves it out.
        architecture: The name in the metadata; tensors are those of a Llama.
        width: Hidden size; a multiple of 32 where `quantised`.
        quantised: Store matrices as Q8_0.
    """
    writer = GGUFWriter(path, architecture)
    tokens = _tokens(tokenizer)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER if not quantised else 32)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model(tokenizer)
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * 2 + [TokenType.NORMAL] * (len(tokens) - 2))
    if tokenizer == "llama":
        writer.add_token_scores([0.0] * len(tokens))
    else:
        writer.add_token_merges(["T h"])
    if bos is not None:
        writer.add_bos_token_id(bos)
    writer.add_eos_token_id(EOS)
    if add_bos is not None:
        writer.add_add_bos_token(add_bos)
    writer.add_chat_template(TEMPLATE)
    weights = _weights(len(tokens), width, INNER if not quantised else 32)
    for name, values in weights.items():
        if quantised and values.ndim == 2:
            packed = quants.quantize(values, GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _tokens(tokenizer: str) -> list[str]:
    space = "\u2581" if tokenizer == "llama" else "\u0120"
    letters = sorted(set(_TEXT.replace(" ", space)))
    return ["<s>", "</s>", *(["<unk>"] if tokenizer == "llama" else []), *letters, "Th"]


def _weights(vocabulary: int, width: int, inner: int) -> dict[str, npt.NDArray[np.float32]]:
    random = np.random.default_rng(0)
    shapes = {
        "token_embd.weight": (vocabulary, width),
        "output_norm.weight": (width,),
        "blk.0.attn_norm.weight": (width,),
        "blk.0.attn_q.weight": (width, width),
        "blk.0.attn_k.weight": (width, width),
        "blk.0.attn_v.weight": (width, width),
        "blk.0.attn_output.weight": (width, width),
        "blk.0.ffn_norm.weight": (width,),
        "blk.0.ffn_gate.weight": (inner, width),
        "blk.0.ffn_up.weight": (inner, width),
        "blk.0.ffn_down.weight": (width, inner),
    }
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
