"""Second moments of the keys of MEMIT's layers over plain text: all layers in one pass, and a pass for each layer.

The other side goes through the texts once for every layer, as the published code does: batches of texts by length, a
pass that ends at the layer, a float32 sum. The sides must find the same mean square of a key's values in every layer.

    python -m bench.statistics_speed --texts 400
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.rome_speed import loaded
from bench.side_by_side import Benchmark, Measurement, compare, timed
from lib.data import prose
from lib.edits.apply import shape_of
from lib.methods.locating.places import padded
from lib.methods.locating.second_moments import second_moments
from lib.models.architecture import architecture
from lib.models.hooks import Complete
from lib.models.tokens import text_ids

_DEPTH_SHARES = (0.1, 0.3)
"""MEMIT's layers, first and last, in a model of another depth than the papers'."""
_TEXTS_A_BATCH = 16


def errata(options: argparse.Namespace) -> Measurement:
    """lib.methods.locating.second_moments: every layer's keys in one pass."""
    model, tokenizer, texts, paths = _work(options)

    def work() -> list[float]:
        with tempfile.TemporaryDirectory() as folder:
            moments = second_moments(model, tokenizer, texts, paths, 4096, Path(folder), lambda parts: parts)
        return [_mean_square(moments[path].moment) for path in paths]

    return timed(work, len(texts))


def published(options: argparse.Namespace) -> Measurement:
    """A layer at a time: the texts from the beginning, each pass up to that layer."""
    model, tokenizer, texts, paths = _work(options)

    def work() -> list[float]:
        longest = model.config.max_position_embeddings
        batches = _batches([ids[:longest] for ids in text_ids(tokenizer, texts)])
        return [_mean_square(_moment(model, batches, path)) for path in paths]

    return timed(work, len(texts))


def _work(options: argparse.Namespace) -> tuple[Any, Any, list[str], list[str]]:
    model, tokenizer = loaded(options.model)
    arch = architecture(model)
    first, last = (round(share * arch.layers(model)) for share in _DEPTH_SHARES)
    texts = [text.text for text in prose.text(0)][: options.texts]
    return model, tokenizer, texts, [arch.mlp_out_of(layer) for layer in range(first, last + 1)]


def _batches(encoded: Sequence[list[int]]) -> list[list[list[int]]]:
    by_length = sorted(encoded, key=len)
    return [by_length[start : start + _TEXTS_A_BATCH] for start in range(0, len(by_length), _TEXTS_A_BATCH)]


@torch.no_grad()
def _moment(model: Any, batches: Sequence[Sequence[list[int]]], path: str) -> Tensor:
    """Mean of k k^T of one module's inputs k over all tokens: [d_in, d_in] float32."""
    module = model.get_submodule(path)
    _, d_in = shape_of(module)
    total, count = torch.zeros(d_in, d_in), 0

    def end(_: object, inputs: tuple[Tensor, ...]) -> None:
        keys.append(inputs[0])
        raise Complete

    handle = module.register_forward_pre_hook(end)
    for batch in batches:
        keys: list[Tensor] = []
        ids, mask = padded(batch, model.device)
        with suppress(Complete):
            model(input_ids=ids, attention_mask=mask, use_cache=False)
        of_tokens = keys[0][mask.bool()]
        total += of_tokens.T @ of_tokens
        count += len(of_tokens)
    handle.remove()
    return total / count


def _mean_square(moment: Tensor) -> float:
    return moment.diagonal().mean().item()


def main() -> None:
    """Parse options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/base"))
    parser.add_argument("--texts", type=int, default=400)
    sides = {"errata": errata, "published": published}
    title = "Second moments of MEMIT's layers, {texts} texts, float32"
    compare(Benchmark(title=title, unit="text", tolerance=1e-4, sides=sides), parser)


if __name__ == "__main__":
    main()
