"""Random models of two small models' shapes, and pairs as long as those of real work, as token ids: no download."""

import argparse
from collections.abc import Callable, Mapping
from random import Random

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from lib.models.packing import Item


def gpt2_small(layers: int = 12) -> PreTrainedModel:
    """GPT-2 small (124 million parameters at 12 layers), random weights, no dropout, frozen, evaluation mode."""
    torch.manual_seed(0)
    config = GPT2Config(n_layer=layers, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    model: PreTrainedModel = GPT2LMHeadModel(config).eval().requires_grad_(False)
    return model


def smollm2(layers: int = 30) -> PreTrainedModel:
    """SmolLM2-135M (135 million parameters at 30 layers), random weights, frozen, evaluation mode."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49_152, hidden_size=576, intermediate_size=1_536, num_hidden_layers=layers,
        num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip
    model: PreTrainedModel = LlamaForCausalLM(config).eval().requires_grad_(False)
    return model


SHAPES: Mapping[str, tuple[Callable[..., PreTrainedModel], list[str]]] = {
    "gpt2-small": (gpt2_small, ["c_attn", "c_proj", "c_fc"]),
    "smollm2-135m": (smollm2, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
}
"""By name: the model, given its number of layers, and its linear modules."""


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add options `--shape` and `--layers`, as `shaped` reads them."""
    parser.add_argument("--shape", choices=SHAPES, default="gpt2-small")
    parser.add_argument("--layers", type=int, help="the shape's own where it is absent")


def shaped(options: argparse.Namespace) -> PreTrainedModel:
    """The random model that the options name."""
    build = SHAPES[options.shape][0]
    return build() if options.layers is None else build(options.layers)


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
