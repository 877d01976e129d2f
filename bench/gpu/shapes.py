"""Models of published shapes with random weights, a tokenizer of whole words, and edits: nothing to download."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPTJConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)

from bench.shapes import random_weights
from lib.core.records import Request
from lib.models.packing import Item

_WORDS = 4_000
"""Words of the tokenizer: ids from 1 on; 0 ends a text."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the parts run, and how large."""

    device: torch.device
    tiny: bool
    seconds: float
    """About how long each measurement repeats its work."""

    @property
    def dtype(self) -> torch.dtype:
        """bfloat16 on a GPU, float32 on a CPU."""
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32


@dataclass(frozen=True, kw_only=True)
class PublishedShape:
    """A published model's shape."""

    config: PretrainedConfig
    tiny: PretrainedConfig
    targets: tuple[str, ...]
    """The modules that a LoRA adapts: all linear ones of a block."""
    layer: int
    """The layer that ROME edits."""


SHAPES = {
    "gpt2-xl": PublishedShape(
        config=GPT2Config(n_embd=1600, n_layer=48, n_head=25, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0),
        tiny=GPT2Config(
            n_embd=32, n_layer=3, n_head=2, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, vocab_size=4096
        ),
        targets=("c_attn", "c_proj", "c_fc"), layer=17,
    ),
    "gpt-j-6b": PublishedShape(
        config=GPTJConfig(),
        tiny=GPTJConfig(n_embd=32, n_layer=3, n_head=2, rotary_dim=8, vocab_size=4096),
        targets=("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"), layer=5,
    ),
    "llama-8b": PublishedShape(
        config=LlamaConfig(
            vocab_size=128_256, hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32,
            num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=8192, rope_theta=500_000.0,
        ),
        tiny=LlamaConfig(
            vocab_size=4096, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=2048,
        ),
        targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), layer=5,
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """The fields of lib.core.params.Lora that an adapter reads; its own module wants packages not needed here."""

    r: int
    alpha: float
    targets: list[str]
    is_everywhere: bool = True


def lora_of(shape: PublishedShape) -> Any:
    """Rank 32 at all linear modules of a block, as the released run of the paper has it."""
    return LoraSettings(r=32, alpha=64.0, targets=list(shape.targets))


def random_model(name: str, machine: Machine, layers: int | None = None, dtype: torch.dtype | None = None) -> Any:
    """A frozen model of this shape on the machine's device; with fewer `layers` where they are given."""
    shape = SHAPES[name]
    config, layers = (shape.tiny, None) if machine.tiny else (shape.config, layers)
    return random_weights(config, layers, machine.device, dtype or machine.dtype)


def layer_of(name: str, model: Any) -> int:
    """The layer that ROME edits, in a smaller model the middle one."""
    depth = int(model.config.num_hidden_layers)
    return SHAPES[name].layer if SHAPES[name].layer < depth else depth // 2


def word_tokenizer() -> PreTrainedTokenizerFast:
    """A token a word: w1, w2, ...; any other word, and the end of a text, is token 0."""
    vocabulary = {"<end>": 0, **{f"w{number}": number for number in range(1, _WORDS)}, "is": _WORDS, "a": _WORDS + 1}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>",
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def edits(count: int, seed: int = 0) -> list[Request]:
    """CounterFact-shaped edits in words: a subject of 1 to 4 tokens in a prompt of 5 to 14, a target of 1."""
    random = Random(seed)
    requests = []
    for number in range(count):
        subject = _text(random, random.randint(1, 4))
        before, after = _text(random, random.randint(1, 4)), _text(random, random.randint(3, 6))
        requests.append(
            Request(
                request_id=f"e{number}", dataset="own", subject=subject, relation=f"r{number}",
                prompt=f"{before} {subject} {after}", template=f"{before} {{}} {after}",
                target_new=_text(random, 1), target_true=None,
            )
        )  # fmt: skip
    return requests


def contexts(lengths: Sequence[int], seed: int = 1) -> list[str]:
    """The bare prompt, and texts of these lengths before it."""
    random = Random(seed)
    return ["{}", *(f"{_text(random, length)} {{}}" for length in lengths)]


def texts(tokens: int, seed: int = 2) -> list[str]:
    """Plain texts of 100 to 400 tokens, of `tokens` tokens in all."""
    random, samples = Random(seed), []
    while tokens > 0:
        length = min(tokens, random.randint(100, 400))
        samples.append(_text(random, length))
        tokens -= length
    return samples


def pairs(count: int, seed: int = 0) -> list[Item]:
    """Training pairs as long as CounterFact's: 1 edit, 10 paraphrases, half behind a prefix, 20 unedited facts."""
    random = Random(seed)
    return [
        Item(
            prompt=_ids(random, random.randint(10, 25) if index % 31 in range(1, 6) else random.randint(5, 14)),
            targets=(_ids(random, random.choice((1, 1, 1, 2, 3))),),
        )
        for index in range(count)
    ]


def records(count: int, seed: int = 0) -> list[list[Item]]:
    """CounterFact records: 13 prompts, 2 targets each."""
    random = Random(seed)
    samples = []
    for _ in range(count):
        targets = tuple(_ids(random, random.choice((1, 1, 1, 2))) for _ in range(2))
        lengths = [random.randint(5, 14), *(random.randint(15, 40) for _ in range(2))]
        lengths += [random.randint(5, 14) for _ in range(10)]
        samples.append([Item(prompt=_ids(random, length), targets=targets) for length in lengths])
    return samples


def _ids(random: Random, length: int) -> tuple[int, ...]:
    return tuple(random.randrange(1, _WORDS) for _ in range(length))


def _text(random: Random, length: int) -> str:
    return " ".join(f"w{number}" for number in _ids(random, length))
