"""Uncentred second moments C = mean of k k^T of the keys k that enter an MLP's down projection.

Locate-then-edit methods weigh a new key against those of ordinary text with it (ROME, arXiv 2202.05262, equation 6).
Streaming: memory is one batch and one float64 sum a layer, on the model's device, whatever the number of texts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lib.core.errors import InputError
from lib.core.files import newest_sound
from lib.core.records import Text
from lib.methods.locating.places import padded
from lib.models.hooks import inputs_read
from lib.models.tokens import text_ids
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint
from lib.runtime.tensors import open_tensors, save_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from lib.core import params

_TEXTS_A_PART = 64
"""Texts that are batched by length together."""
_SECONDS_BETWEEN_SAVES = 300
"""Sums are d_in^2 values of 8 bytes a layer: 13 GB for GPT-J, too much to write after every part."""


@dataclass(frozen=True, kw_only=True)
class SecondMoment:
    """C of one module's inputs."""

    moment: Tensor  # [d_in, d_in] float32
    count: int
    """Number of tokens that it is the mean over."""
    derived: Mapping[str, Tensor] = field(default_factory=dict)
    """What an editor makes of it once (`Needs.derived`), by name; empty where nothing was stored."""


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
    stored_sums, count, done = _resumed(scratch)
    sums = {path: moment.to(model.device) for path, moment in stored_sums.items()}
    longest = getattr(model.config, "max_position_embeddings", None) or model.config.n_positions
    saved = time.monotonic()
    for part in progress(range(done, -(-len(texts) // _TEXTS_A_PART))):
        part_texts = texts[part * _TEXTS_A_PART : (part + 1) * _TEXTS_A_PART]
        encoded = [ids[:longest] for ids in text_ids(tokenizer, list(part_texts)) if ids]
        for batch in _batches(sorted(encoded, key=len), micro_batch_tokens):
            _add(sums, model, batch, paths)
            count += sum(map(len, batch))
        if time.monotonic() - saved >= _SECONDS_BETWEEN_SAVES:
            _save(scratch, {path: moment.cpu() for path, moment in sums.items()}, count, part + 1)
            saved = time.monotonic()
    return {path: SecondMoment(moment=(sums[path] / count).float().cpu(), count=count) for path in paths}


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


@torch.no_grad()
def _add(sums: dict[str, Tensor], model: PreTrainedModel, batch: Sequence[list[int]], paths: Sequence[str]) -> None:
    """Add k k^T of each module's inputs k at all tokens of the batch to its float64 sum [d_in, d_in]."""
    ids, mask = padded(batch, model.device)

    def add(path: str, inputs: Tensor) -> None:
        keys = inputs[mask.bool()].float()
        product = keys.T @ keys
        sums[path] = sums[path].add_(product) if path in sums else product.double()

    with inputs_read(model, paths, add):
        model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)


def save_moment(folder: Path, path: str, second_moment: SecondMoment) -> None:
    """Write a module's second moment into the statistics folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"moment": second_moment.moment, **second_moment.derived}
    save_tensors(tensors, folder / f"{path}.safetensors", metadata={"count": str(second_moment.count)})


def load_moment(folder: Path | None, path: str) -> SecondMoment:
    """A module's second moment. Raises FileNotFoundError where stage `statistics` has not made it."""
    file = (folder or Path("data/statistics")) / f"{path}.safetensors"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: wanted the second moment of {path}'s inputs; run `dvc repro statistics`")
    with open_tensors(file) as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        return SecondMoment(moment=tensors.pop("moment"), count=int(stored.metadata()["count"]), derived=tensors)


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
    from lib.core.tables import read  # Parquet, which gathering itself does not need

    texts = [row.text for row in read(text, Text) if row.split == "train"]
    return Random(settings.seed).sample(texts, min(settings.n_samples, len(texts)))
