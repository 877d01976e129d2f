"""Continuations of prompts: the interface of a generation engine, and how a token is drawn.

An engine draws each prompt's text from a random stream of its own, whatever else is in the call. There are two:
decoding.py on transformers (as text: texts.py), whose texts are the same to the bit in any company, and vllm.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lib.core.errors import NotFiniteError

_PLACES, _LONG, _LONG_PLACES = 64, 512, 256
"""A cache has a multiple of so many places; above _LONG, of _LONG_PLACES."""


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


def greedy(tokens: int = 0) -> Sampling:
    """The likeliest token at every step, `tokens` times at most; the number of an EncodedPrompt is its own."""
    return Sampling(max_tokens=tokens, temperature=1.0, top_k=0, greedy=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedPrompt:
    """One prompt as token ids, and how it is continued."""

    ids: tuple[int, ...]
    """At least one."""
    tokens: int
    """The most tokens to generate; none where it is below one."""
    seed: int = 0
    """Of this text's own random stream."""
    end: int | None = None
    """A token that ends the text and is kept as its last one. None: `tokens` tokens are generated."""
    prefix: tuple[int, ...] = ()
    """Tokens that are read once for all prompts that name them; what of `ids` begins with them is taken from there."""

    @property
    def length(self) -> int:
        """The most tokens of prompt and continuation together."""
        return len(self.ids) + max(self.tokens, 0)

    @property
    def cache_length(self) -> int:
        """Length of the cache that it is continued in: a function of the prompt's own length."""
        step = _PLACES if self.length <= _LONG else _LONG_PLACES
        return -(-self.length // step) * step


class Generator(Protocol):
    """An engine that continues prompts."""

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The continuation of `shared_prefix` + each prompt's text, in the order of the prompts."""
        ...

    def prefix_cache_hit_rate(self) -> float | None:
        """The share of all prompt tokens so far that came from a prefix cache, 0 to 1; None where unknown."""
        ...


def numbers(seed: int, first: int, count: int) -> Tensor:
    """Uniform numbers [count] for the tokens at positions `first`, `first` + 1 and so on of a text, prompt included.

    Position p has the p-th number of the stream that `seed` alone decides on, p from 1.
    """
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(first - 1 + count, generator=stream, dtype=torch.float64)[first - 1 :]


def choose(logits: Tensor, uniform: Sequence[float], sampling: Sampling) -> list[int]:
    """One token a row of `logits` [b, v], by inverse transform with a uniform number in [0, 1) of its own.

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
    point = torch.tensor(uniform, dtype=torch.float64, device=cumulative.device)[:, None] * cumulative[:, -1:]
    tokens: list[int] = torch.searchsorted(cumulative, point, right=True)[:, 0].tolist()
    return tokens
