"""Continuations of prompts: the interface of a generation engine, and how a token is drawn.

An engine draws each prompt's text from a random stream of its own, whatever else is in the call. Which engine is right:

    equal_length.py    sampled texts: the same bits in every batch (stage paraphrase, on transformers)
    token_by_token.py  texts of mixed lengths: the same bits in every batch (stage score)
    plain.py           texts of a model that no shared batch is right for, one at a time: what the others turn to for it
    padded.py          greedy texts, left-padded: fast, equal up to rounding (stage abilities)
    vllm.py            sampled texts on a GPU or a large CPU: equal up to rounding
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lib.core.errors import NotFiniteError


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One text to continue."""

    text: str
    """Comes after the prefix that all prompts of a call share."""
    seed: int
    """Of this prompt's own random stream; derived from what is drawn, never from a position in a batch."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How continuations are drawn."""

    max_tokens: int
    temperature: float
    top_k: int
    """Only the k likeliest tokens; 0 = all."""
    stop: tuple[str, ...] = ()
    """Texts that end a continuation; they are not part of it."""
    greedy: bool = False


GREEDY = Sampling(max_tokens=0, temperature=1.0, top_k=0, greedy=True)
"""The likeliest token, as many as the prompt asks for."""


class Generator(Protocol):
    """An engine that continues prompts."""

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The continuation of `shared_prefix` + each prompt's text, in the order of the prompts."""
        ...

    def prefix_cache_hit_rate(self) -> float | None:
        """The share of all prompt tokens so far that came from a prefix cache, 0 to 1; None where unknown."""
        ...


def stream(seed: int) -> torch.Generator:
    """A random stream that `seed` alone decides on."""
    return torch.Generator().manual_seed(seed)


def choose(logits: Tensor, streams: Sequence[torch.Generator], sampling: Sampling) -> list[int]:
    """One token a row of `logits` [b, v], by inverse transform with one uniform number from the row's own stream.

    Raises NotFiniteError where there is nothing to draw from.
    """
    if sampling.greedy:
        greedy: list[int] = logits.argmax(-1).tolist()
        return greedy
    if sampling.top_k:
        threshold = logits.topk(min(sampling.top_k, logits.shape[-1]), dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < threshold, float("-inf"))
    cumulative = (logits / sampling.temperature).softmax(-1).double().cumsum(-1)  # [b, v]
    if not bool(cumulative[:, -1].isfinite().all()):
        raise NotFiniteError("sampling: the model's logits are not finite; its weights, or an edit, have destroyed it")
    uniform = torch.stack([torch.rand((), generator=row_stream, dtype=torch.float64) for row_stream in streams])
    point = uniform.to(cumulative.device)[:, None] * cumulative[:, -1:]
    tokens: list[int] = torch.searchsorted(cumulative, point, right=True)[:, 0].tolist()
    return tokens
