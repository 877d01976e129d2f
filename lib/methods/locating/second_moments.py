"""Uncentred second moments C = mean of k k^T of the keys k that enter an MLP's down projection.

Locate-then-edit methods weigh a new key against those of ordinary text with it (ROME, arXiv 2202.05262, equation 6).
Streaming: memory is one batch and one float64 sum a layer, whatever the number of texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lib.core import params
from lib.core.errors import InputError
from lib.core.files import newest_sound
from lib.core.records import Text
from lib.core.tables import read
from lib.models.tokens import text_ids
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint
from lib.runtime.tensors import open_tensors, save_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_TEXTS_A_PART = 64
"""Texts that are batched by length together, and between two saves."""


@dataclass(frozen=True, kw_only=True)
class SecondMoment:
    """C of one module's inputs."""

    moment: Tensor  # [d_in, d_in] float32
    count: int
    """Number of tokens that it is the mean over."""


def second_moments(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    paths: Sequence[str],
    micro_batch_tokens: int,
    scratch: Path,
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> dict[str, SecondMoment]:
    """C of the inputs of each module in `paths` over all tokens of `texts`.

    Each text is tokenized alone and cut to the model's positions. Batch sums are float32, their sum float64. Continues
    from what an earlier run left in `scratch`, to the same bytes. Raises InputError where there is no text.
    """
    if not texts:
        raise InputError("second moments: wanted plain text (data/facts/text.parquet), found none")
    sums, count, done = _resumed(scratch)
    longest = getattr(model.config, "max_position_embeddings", None) or model.config.n_positions
    for part in progress(range(done, -(-len(texts) // _TEXTS_A_PART))):
        part_texts = texts[part * _TEXTS_A_PART : (part + 1) * _TEXTS_A_PART]
        encoded = [ids[:longest] for ids in text_ids(tokenizer, list(part_texts)) if ids]
        for batch in _batches(sorted(encoded, key=len), micro_batch_tokens):
            for path, keys in _keys(model, batch, paths).items():
                products = (keys.T @ keys).double().cpu()
                sums[path] = sums[path] + products if path in sums else products
            count += sum(map(len, batch))
        _save(scratch, sums, count, part + 1)
    return {path: SecondMoment(moment=(sums[path] / count).float(), count=count) for path in paths}


def _batches(texts: Sequence[list[int]], tokens: int) -> Iterator[list[list[int]]]:
    """Texts, shortest first, in batches of at most `tokens` tokens after padding."""
    batch: list[list[int]] = []
    for ids in texts:
        if batch and len(ids) * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(ids)
    if batch:
        yield batch


@torch.inference_mode()
def _keys(model: PreTrainedModel, batch: Sequence[list[int]], paths: Sequence[str]) -> dict[str, Tensor]:
    """The inputs [tokens, d_in] of each module at all tokens of the batch, padding left out, float32."""
    t = max(map(len, batch))
    ids = torch.tensor([[*row, *[0] * (t - len(row))] for row in batch], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (t - len(row)) for row in batch], device=model.device)
    keys: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(_inputs_into(keys, path, model.get_submodule(path), mask.bool()))
        model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
    return keys


@contextmanager
def _inputs_into(collected: dict[str, Tensor], path: str, module: nn.Module, mask: Tensor) -> Iterator[None]:
    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        collected[path] = inputs[0][mask].float()

    handle = module.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()


def save_moment(folder: Path, path: str, second_moment: SecondMoment) -> None:
    """Write a module's second moment into the statistics folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(
        {"moment": second_moment.moment}, folder / f"{path}.safetensors", metadata={"count": str(second_moment.count)}
    )


def load_moment(folder: Path | None, path: str) -> SecondMoment:
    """A module's second moment. Raises FileNotFoundError where stage `statistics` has not made it."""
    file = (folder or Path("data/statistics")) / f"{path}.safetensors"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: wanted the second moment of {path}'s inputs; run `dvc repro statistics`")
    with open_tensors(file) as stored:
        return SecondMoment(moment=stored.get_tensor("moment"), count=int(stored.metadata()["count"]))


def _save(scratch: Path, sums: dict[str, Tensor], count: int, parts: int) -> None:
    save_checkpoint(sums, scratch / "sums.safetensors", {"done": json.dumps([count, parts])})


def _resumed(scratch: Path) -> tuple[dict[str, Tensor], int, int]:
    """Sums, number of tokens and number of parts that an earlier run has left, sound."""
    file = scratch / "sums.safetensors"
    checkpoint = newest_sound([file], load_checkpoint) if file.is_file() else None
    if checkpoint is None:
        return {}, 0, 0
    count, parts = json.loads(checkpoint.about["done"])
    return dict(checkpoint.tensors), count, parts


def drawn_texts(settings: params.Statistics, text: Path) -> list[str]:
    """At most n_samples texts, drawn with the seed, in the order drawn."""
    texts = [row.text for row in read(text, Text) if row.split == "train"]
    return Random(settings.seed).sample(texts, min(settings.n_samples, len(texts)))
