"""A random model in a folder, for the benchmarks that read one from there: texts, ROME, MEMIT's z, second moments.

python -m bench.random_model --shape gpt2-small --tokenizer models/base --to FOLDER
"""

import argparse
from pathlib import Path

from bench.shapes import SHAPES, add_shape, random_weights
from lib.core.params import Model, preset
from lib.models.fetching import write_manifest
from lib.models.loading import load_tokenizer


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
