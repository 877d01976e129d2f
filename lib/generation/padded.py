"""Greedy continuations of prompts of any length, in batches padded on the left.

equal_length.py batches prompts of equal length, so that a sampled text never depends on its company. Prompts of real
tasks hardly ever have equal lengths; here they share batches, which can move a logit by a rounding error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from lib.models.packing import batches

_TAIL = 8
"""Tokens that are decoded to see whether a text has come to a stop."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One prompt as token ids, and how many tokens are to follow."""

    ids: Sequence[int]
    max_tokens: int

    @property
    def length(self) -> int:
        """Tokens that it takes in a row, at most."""
        return len(self.ids) + self.max_tokens


def continuations(
    model: Any, tokenizer: Any, asked: Sequence[Asked], stop: Sequence[str], micro_batch_tokens: int
) -> Iterator[tuple[int, str]]:
    """(place, continuation) of every prompt, longest first; none of the texts in `stop` is in it, nor what follows.

    A forward pass takes about `micro_batch_tokens` tokens, a longer prompt a pass of its own. A text also ends at the
    end-of-text token.
    """
    order = sorted(range(len(asked)), key=lambda place: -asked[place].length)
    for batch in batches(asked, micro_batch_tokens, order):
        rows = _continue(model, tokenizer, [asked[place] for place in batch], stop)
        for place, row in zip(batch, rows, strict=True):
            text: str = tokenizer.decode(row[: asked[place].max_tokens], skip_special_tokens=True)
            for one in stop:
                text = text.split(one)[0]
            yield place, text


@torch.inference_mode()
def _continue(model: Any, tokenizer: Any, asked: Sequence[Asked], stop: Sequence[str]) -> list[list[int]]:
    ids, mask = _padded([one.ids for one in asked], model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)  # [b, t]
    cache = DynamicCache()
    rows: list[list[int]] = [[] for _ in asked]
    running = set(range(len(asked)))
    for _ in range(max(one.max_tokens for one in asked)):
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        chosen = output.logits[:, -1].argmax(-1)  # [b]
        for row, token in enumerate(chosen.tolist()):
            if row in running:
                rows[row].append(token)
                if _ended(tokenizer, rows[row], asked[row].max_tokens, stop):
                    running.discard(row)
        if not running:
            break
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(asked), 1)], dim=1)
    return rows


def _padded(rows: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Ids and mask [b, t], rows padded on the left (with token 0, which nothing sees)."""
    t = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (t - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (t - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def _ended(tokenizer: Any, tokens: Sequence[int], max_tokens: int, stop: Sequence[str]) -> bool:
    if tokens[-1] == tokenizer.eos_token_id or len(tokens) >= max_tokens:
        return True
    return bool(stop) and any(one in tokenizer.decode(list(tokens[-_TAIL:])) for one in stop)
