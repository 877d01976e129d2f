"""Texts of models that no shared batch is right for: one at a time, as plain decoding writes them.

A model whose state runs along the row, or that counts row places, reads what a batch pads its row with, and keeps what
it has read in a cache of its own kind. The check at load (lib/models/check.py) says which models those are, and
whether the cache that a model's config asks for gives what a plain pass gives; where it does not, the whole text is
read anew for every token. Slower, and right.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lib.generation.engine import Sampling, choose, stream
from lib.models.cached import own_cache
from lib.models.check import reading_of


def needs_plain(model: PreTrainedModel) -> bool:
    """Whether the texts of `model` have to be written one at a time."""
    return reading_of(model).texts != "batched"


@torch.inference_mode()
def continue_plain(
    model: PreTrainedModel, ids: Sequence[int], sampling: Sampling, *, tokens: int, seed: int, end: int | None
) -> list[int]:
    """At most `tokens` tokens that follow the prompt `ids`, drawn from the stream of `seed`; `end` is kept as the last.

    `sampling` says how a token is drawn; its max_tokens and stop texts are not looked at.
    """
    own_stream, continuation = stream(seed), list[int]()
    cached = reading_of(model).texts == "single"
    cache, unread = (own_cache(model) if cached else {}), list(ids)
    while len(continuation) < tokens and (not continuation or continuation[-1] != end):
        (token,) = choose(_last_logits(model, unread, cache), [own_stream], sampling)
        continuation.append(token)
        unread = [token] if cached else [*unread, token]
    return continuation


def _last_logits(model: PreTrainedModel, ids: Sequence[int], cache: dict[str, object]) -> Tensor:
    """Logits [1, v] of the token after `ids`, float32."""
    output = model(torch.tensor([list(ids)], device=model.device), use_cache=bool(cache), **cache)
    logits: Tensor = output.logits[:, -1].float()
    return logits
