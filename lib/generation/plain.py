"""Texts of models that no shared batch is right for: one at a time, as plain decoding writes them.

A model whose state runs along the row, or that counts row places, reads what a batch pads its row with, and keeps what
it has read in a cache of its own kind. The check at load (lib/models/check.py) says which models those are, and
whether the cache that a model's config asks for gives what a plain pass gives; where it does not, the whole text is
read anew for every token. Slower, and right.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.generation.engine import EncodedPrompt, Sampling, choose, numbers
from lib.models.cached import own_cache
from lib.models.check import reading_of


def needs_plain(model: PreTrainedModel) -> bool:
    """Whether the texts of `model` have to be written one at a time."""
    return reading_of(model).texts != "batched"


def continue_plain(
    model: PreTrainedModel, prompt: EncodedPrompt, sampling: Sampling, ended: Callable[[Sequence[int]], bool]
) -> list[int]:
    """The tokens that follow a prompt; they end as the decoding engine's do (decoding.py)."""
    continuation: list[int] = []
    uniform = [0.0] * prompt.tokens
    if not sampling.greedy and prompt.tokens > 0:
        uniform = numbers(prompt.seed, len(prompt.ids), prompt.tokens).tolist()
    cached = reading_of(model).texts == "single"
    cache, unread = (own_cache(model) if cached else {}), list(prompt.ids)
    for number in uniform:
        (token,) = choose(_last_logits(model, unread, cache), [number], sampling)
        continuation.append(token)
        if token == prompt.end or ended(continuation):
            break
        unread = [token] if cached else [*unread, token]
    return continuation


def _last_logits(model: PreTrainedModel, ids: Sequence[int], cache: dict[str, object]) -> Tensor:
    """Logits [1, v] of the token after `ids`, float32."""
    output = model(torch.tensor([list(ids)], device=model.device), use_cache=bool(cache), **cache)
    logits: Tensor = output.logits[:, -1].float()
    return logits
