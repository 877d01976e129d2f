"""Random models of two small models' shapes, and pairs as long as those of real work, as token ids: no download."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PretrainedConfig, PreTrainedModel

from lib.models.packing import Item


@dataclass(frozen=True, kw_only=True)
class SmallShape:
    """A small model's shape."""

    config: PretrainedConfig
    targets: tuple[str, ...]
    """The modules that a LoRA adapts: all linear ones of a block."""


SHAPES: Mapping[str, SmallShape] = {
    "gpt2-small": SmallShape(
        config=GPT2Config(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0), targets=("c_attn", "c_proj", "c_fc")
    ),
    "smollm2-135m": SmallShape(
        config=LlamaConfig(
            vocab_size=49_152, hidden_size=576, intermediate_size=1_536, num_hidden_layers=30,
            num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
        ),
        targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    ),
}  # fmt: skip


def random_weights(
    config: PretrainedConfig,
    layers: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> PreTrainedModel:
    """A model of this shape with random weights, always the same, frozen, in evaluation mode; `layers`: so many."""
    config = type(config).from_dict(config.to_dict())
    if layers is not None:
        setattr(config, config.attribute_map.get("num_hidden_layers", "num_hidden_layers"), layers)
    torch.manual_seed(0)
    with torch.device(device):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.eval().requires_grad_(False)


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add options `--shape` and `--layers`, as `shaped` reads them."""
    parser.add_argument("--shape", choices=SHAPES, default="gpt2-small")
    parser.add_argument("--layers", type=int, help="the shape's own where it is absent")


def shaped(options: argparse.Namespace) -> PreTrainedModel:
    """The random model that the options name."""
    return random_weights(SHAPES[options.shape].config, options.layers)


def training_pairs(count: int, seed: int = 0) -> list[Item]:
    """Pairs as CounterFact's are: 1 edit, 10 paraphrases (half of them behind a sampled prefix), 20 unedited facts."""
    random = Random(seed)
    pairs = []
    for index in range(count):
        plain, prefixed = random.randint(5, 14), random.randint(10, 25)
        prompt = prefixed if index % 31 in range(1, 6) else plain
        pairs.append(Item(prompt=_ids(random, prompt), targets=(_ids(random, random.choice((1, 1, 1, 2, 3))),)))
    return pairs


def records(count: int, seed: int = 0) -> list[list[Item]]:
    """CounterFact records: 13 prompts (1 edit, 2 paraphrases behind other text, 10 of neighbors), 2 targets."""
    random = Random(seed)
    counterfact_records = []
    for _ in range(count):
        targets = tuple(_ids(random, random.choice((1, 1, 1, 2))) for _ in range(2))
        lengths = [random.randint(5, 14), *(random.randint(15, 40) for _ in range(2))]
        lengths += [random.randint(5, 14) for _ in range(10)]
        counterfact_records.append([Item(prompt=_ids(random, length), targets=targets) for length in lengths])
    return counterfact_records


def _ids(random: Random, length: int) -> tuple[int, ...]:
    return tuple(random.randrange(1, 49_000) for _ in range(length))
