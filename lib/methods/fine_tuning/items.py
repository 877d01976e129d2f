"""What the fine-tuning baselines train on of every request, and what each of its tokens counts for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lib.core.records import Request
from lib.methods.training.pairs import unmasked
from lib.models.packing import Item
from lib.models.tokens import encode_edits

if TYPE_CHECKING:
    from lib.methods.fine_tuning.loop import Tuning


def training_items(tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Tuning) -> list[Item]:
    """One item a request; as published, every target token is a target of its own right after the prompt.

    Of the objective `sentence` every token after the first is a target token.
    """
    items = encode_edits(tokenizer, requests)
    if settings.objective == "published":
        return [Item(prompt=item.prompt, targets=tuple((token,) for token in item.targets[0])) for item in items]
    return [unmasked(item) for item in items] if settings.objective == "sentence" else items


def weights_in_batch(items: Sequence[Item], batch: Sequence[Item], like: Tensor, by_token: bool) -> Tensor:
    """[n]: what -log p of each token of `items`, a part of `batch`, counts for in the batch's loss."""
    if not by_token:
        return token_weights(items, len(batch), like)
    return like.new_full((_tokens(items),), 1 / _tokens(batch))


def _tokens(items: Sequence[Item]) -> int:
    """Target tokens of all of them."""
    return sum(len(target) for item in items for target in item.targets)


def token_weights(items: Sequence[Item], batch: int, like: Tensor) -> Tensor:
    """[n]: what -log p of each token counts for in the loss, the mean over `batch` requests of the mean over tokens."""
    counts = [sum(map(len, item.targets)) for item in items]
    return torch.cat([like.new_full((count,), 1 / (count * batch)) for count in counts])
