"""A random model of GPT-2 small's size, and pairs as long as those of real work, as token ids: nothing to download."""

from random import Random

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from lib.models.packing import Item


def gpt2_small(layers: int = 12) -> PreTrainedModel:
    """GPT-2 small (124 million parameters at 12 layers), random weights, no dropout, frozen, evaluation mode."""
    torch.manual_seed(0)
    config = GPT2Config(n_layer=layers, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    model: PreTrainedModel = GPT2LMHeadModel(config).eval().requires_grad_(False)
    return model


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
    return tuple(random.randrange(1, 50_000) for _ in range(length))
