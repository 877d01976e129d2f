"""Random models of two small models' shapes, and pairs as long as those of real work, as token ids: no download.

Benchmarks that read a model from a folder (texts, ROME, MEMIT's z, second moments) take one of another shape from

    python -m bench.shapes --shape gpt2-small --tokenizer models/base --to FOLDER
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PretrainedConfig, PreTrainedModel

from lib.core.params import Model, preset
from lib.models.fetching import write_manifest
from lib.models.loading import load_tokenizer
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


def write_model(shape: str, layers: int | None, base: Path, folder: Path) -> None:
    """Make `folder` what stage `base` makes: a random model of this shape, with the tokenizer of `base`."""
    weights = (folder / "weights").resolve()
    random_weights(SHAPES[shape].config, layers).save_pretrained(weights)
    load_tokenizer(base).save_pretrained(weights)
    values = preset("models", "smollm2-135m", Model)
    write_manifest(folder, values.model_copy(update={"source": "folder", "name": str(weights), "revision": None}))


def main() -> None:
    """Parse options and write a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_shape(parser)
    parser.add_argument("--tokenizer", type=Path, default=Path("models/base"), help="folder of stage base")
    parser.add_argument("--to", type=Path, required=True, help="folder that is made")
    options = parser.parse_args()
    write_model(options.shape, options.layers, options.tokenizer, options.to)


if __name__ == "__main__":
    main()
