"""Greedy continuations of prompts of any length, in batches padded on the left.

equal_length.py batches prompts of equal length, so that a sampled text never depends on the other prompts. Prompts of
real tasks hardly ever have equal lengths; here they share batches, which can move a logit by a rounding error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from lib.generation.engine import GREEDY
from lib.generation.plain import continue_plain, needs_plain
from lib.models.packing import batches

_TAIL = 8
"""Tokens that are decoded to see whether a text holds a stop text."""


@dataclass(frozen=True, kw_only=True)
class GreedyPrompt:
    """One prompt as token ids, and how many tokens follow at most."""

    ids: Sequence[int]
    max_tokens: int

    @property
    def length(self) -> int:
        """The most tokens of prompt and continuation together."""
        return len(self.ids) + self.max_tokens


def continuations(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[GreedyPrompt],
    stop: Sequence[str],
    micro_batch_tokens: int,
) -> Iterator[tuple[int, str]]:
    """(index, continuation) of every prompt, longest first, each cut before the first of the texts in `stop`.

    A forward pass takes about `micro_batch_tokens` tokens, a longer prompt a pass of its own. A text also ends at the
    end-of-text token.
    """
    order = sorted(range(len(prompts)), key=lambda index: -prompts[index].length)
    for batch in batches(prompts, micro_batch_tokens, order):
        rows = _continue(model, tokenizer, [prompts[index] for index in batch], stop)
        for index, row in zip(batch, rows, strict=True):
            text: str = tokenizer.decode(row[: prompts[index].max_tokens], skip_special_tokens=True)
            for stop_text in stop:
                text = text.split(stop_text)[0]
            yield index, text


@torch.inference_mode()
def _continue(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[GreedyPrompt], stop: Sequence[str]
) -> list[list[int]]:
    if needs_plain(model):
        end = tokenizer.eos_token_id
        return [
            continue_plain(model, prompt.ids, GREEDY, tokens=prompt.max_tokens, seed=0, end=end) for prompt in prompts
        ]
    ids, mask = _padded([prompt.ids for prompt in prompts], model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)  # [b, t]
    cache = DynamicCache()
    rows: list[list[int]] = [[] for _ in prompts]
    running = set(range(len(prompts)))
    for _ in range(max(prompt.max_tokens for prompt in prompts)):
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        likeliest = output.logits[:, -1].argmax(-1)  # [b]
        for row, token in enumerate(likeliest.tolist()):
            if row in running:
                rows[row].append(token)
                if _ended(tokenizer, rows[row], prompts[row].max_tokens, stop):
                    running.discard(row)
        if not running:
            break
        ids, positions = likeliest[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
    return rows


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask [b, t], rows padded on the left (with token 0, which nothing sees)."""
    t = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (t - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (t - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def _ended(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int], max_tokens: int, stop: Sequence[str]) -> bool:
    if tokens[-1] == tokenizer.eos_token_id or len(tokens) >= max_tokens:
        return True
    return bool(stop) and any(stop_text in tokenizer.decode(list(tokens[-_TAIL:])) for stop_text in stop)
