"""The likelihood of targets read plainly, and as texts are written: token by token, with a cache of what was read."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Pair = tuple[Sequence[int], Sequence[int]]
"""Prompt and target."""


def plain_nll(model: PreTrainedModel, pairs: Sequence[Pair]) -> list[Tensor]:
    """-log p of every token of each pair's target, in nats, float32, by plain forward passes: nothing but ids goes in.

    The pairs are of one length, so that they are the rows of one pass without padding.
    """
    ids = torch.tensor([[*prompt, *target] for prompt, target in pairs], device=model.device)  # [n, t]
    log_p = model(ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)  # [n, t - 1, v]
    nll = -log_p.gather(2, ids[:, 1:, None])[..., 0]
    return [nll[row, len(prompt) - 1 :] for row, (prompt, _) in enumerate(pairs)]


def batched_nll(model: PreTrainedModel, pairs: Sequence[Pair]) -> Tensor:
    """-log p of each target [n] in nats, in one batch padded in front, with mask, position ids and a plain cache."""
    device, b = model.device, len(pairs)
    t = max(len(prompt) for prompt, _ in pairs)
    ids = torch.tensor([[0] * (t - len(prompt)) + list(prompt) for prompt, _ in pairs], device=device)  # [b, t]
    mask = torch.tensor([[0] * (t - len(prompt)) + [1] * len(prompt) for prompt, _ in pairs], device=device)
    position_ids = (mask.cumsum(-1) - 1).clamp(min=0)
    cache, logits = DynamicCache(), []
    steps = max(len(target) for _, target in pairs)
    padded = torch.tensor([[*target, *[0] * (steps - len(target))] for _, target in pairs], device=device)
    for step in range(steps):
        output = model(
            input_ids=ids, attention_mask=mask, position_ids=position_ids, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        logits.append(output.logits[:, -1])
        ids, position_ids = padded[:, step : step + 1], position_ids[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(b, 1)], dim=1)
    rows = torch.stack(logits, dim=1)  # [b, steps, v]
    return torch.stack([_nll(rows[k, : len(target)], padded[k, : len(target)]) for k, (_, target) in enumerate(pairs)])


def single_nll(model: PreTrainedModel, pairs: Sequence[Pair]) -> Tensor:
    """The same of many pairs [n], one after another, with the cache that the model's config asks for."""
    return torch.stack([_single(model, prompt, target) for prompt, target in pairs])


def _single(model: PreTrainedModel, prompt: Sequence[int], target: Sequence[int]) -> Tensor:
    cache, logits = own_cache(model), []
    for ids in ([*prompt], *([token] for token in target[:-1])):
        logits.append(model(torch.tensor([ids], device=model.device), use_cache=True, **cache).logits[0, -1])
    return _nll(torch.stack(logits), torch.tensor(target, device=model.device))


def own_cache(model: PreTrainedModel) -> dict[str, Any]:
    """An empty cache of the kinds of layers that the model's config names, by the argument that takes it."""
    names = inspect.signature(model.forward).parameters
    name = "cache_params" if "cache_params" in names else "past_key_values"
    return {name: DynamicCache(config=model.config.get_text_config())}


def _nll(logits: Tensor, target: Tensor) -> Tensor:
    """Sum of -log p of the tokens `target` [n] under logits [n, v]."""
    return torch.nn.functional.cross_entropy(logits.float(), target, reduction="sum")
