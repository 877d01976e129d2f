"""Prompts and targets as token ids, joined the way a model reads them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from lib.core.errors import InputError
from lib.core.joins import Separator
from lib.core.records import Request
from lib.core.texts import continues_word, join
from lib.models.control import apart, has_control, rendered_like
from lib.models.items import Item, common

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")
_TEXTS = 1024
"""Tokenized in one call: beside the ids a tokenizer makes offsets, masks and more of each text, which take memory."""


def encode(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    targets: Sequence[Sequence[str]],
    separators: Sequence[Separator | None] | None = None,
    together: Callable[[str, str, Separator | None], str] = join,
) -> list[Item]:
    """One item a prompt, with that prompt's targets.

    A target's tokens are those that follow the prompt's in the tokenization of both `together`, which has between them
    what the prompt's separator says, else what the texts do. So a beginning-of-text token stays with the prompt, and
    where a tokenizer merges the end of the prompt with the beginning of the target, the merged token counts as the
    target's. A prompt that gives no token at all starts with the end-of-text token; none ends with one that the
    tokenizer appends. Raises InputError naming prompt and target where no token is left to the target.
    """
    joined = [
        rendered_like(prompt, together(prompt, apart(tokenizer, target, prompt), separator))
        for prompt, answers, separator in zip(prompts, targets, separators or [None] * len(prompts), strict=True)
        for target in answers
    ]
    encoded = iter(text_ids(tokenizer, joined))
    items = []
    for prompt, alone, answers in zip(prompts, text_ids(tokenizer, prompts), targets, strict=True):
        sequences = [next(encoded) for _ in answers]
        shared = min([len(alone), *(common(alone, ids) for ids in sequences)])
        for target, ids in zip(answers, sequences, strict=True):
            if len(ids) <= shared:
                raise InputError(f"target {target!r} after {prompt!r}: the tokenizer leaves it no token of its own")
        start = alone[:shared] or [tokenizer.eos_token_id]
        items.append(Item(prompt=tuple(start), targets=tuple(tuple(ids[shared:]) for ids in sequences)))
    return items


def encode_edits(tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]) -> list[Item]:
    """Prompt and new object of every request."""
    prompts = [request.prompt for request in requests]
    targets = [(request.target_new,) for request in requests]
    return encode(tokenizer, prompts, targets, [request.separator for request in requests])


def prompt_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text to be continued: never none, an empty one is the end-of-text token."""
    return text_ids(tokenizer, [text])[0] or [tokenizer.eos_token_id]


def text_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of every text, without an end of text that the tokenizer appends to each.

    Control tokens that stand in a text are letters, but in a Rendered one.
    """
    return [_without_end(tokenizer, ids) for ids in _ids(tokenizer, texts)]


def with_offsets(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """The tokens of a text as `text_ids` gives them, and the characters that each stands for (first, last + 1)."""
    encoded = tokenizer(str(text), return_offsets_mapping=True, split_special_tokens=has_control(tokenizer, text))
    return (
        _without_end(tokenizer, list(encoded.input_ids)),
        _without_end(tokenizer, list(encoded["offset_mapping"])),
    )


def tokens_within(offsets: Sequence[tuple[int, int]], start: int, end: int) -> list[int]:
    """Which tokens stand for a character from `start` to before `end`, by what `with_offsets` says of each."""
    return [number for number, (first, last) in enumerate(offsets) if max(first, start) < min(last, end)]


def word_parts(tokenizer: PreTrainedTokenizerBase, size: int) -> Tensor:
    """Which tokens go on with the word that is before them: [size] bool.

    The anchor before them is a letter with cases, so that only such letters and digits do.
    """
    anchor = tokenizer("a", add_special_tokens=False).input_ids[0]
    before = tokenizer.decode([anchor])
    pairs = tokenizer.batch_decode([[anchor, token] for token in range(min(size, len(tokenizer)))])
    followings = [pair.removeprefix(before)[:1] for pair in pairs]
    flags = [_has_cases(following) and continues_word(following) for following in followings]
    return torch.tensor(flags + [False] * (size - len(flags)))


def _has_cases(letter: str) -> bool:
    return letter.isalnum() and unicodedata.category(letter) != "Lo"


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    parts = (list(map(str, texts[start : start + _TEXTS])) for start in range(0, len(texts), _TEXTS))
    encoded = [list(ids) for part in parts for ids in tokenizer(part).input_ids]
    for index, text in enumerate(texts):
        if has_control(tokenizer, text):
            encoded[index] = list(tokenizer(str(text), split_special_tokens=True).input_ids)
    return encoded


def _without_end(tokenizer: PreTrainedTokenizerBase, tokens: list[T]) -> list[T]:
    return tokens[: len(tokens) - _appended(tokenizer)]


@lru_cache(maxsize=8)
def _appended(tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the tokenizer puts behind every text."""
    ids, bare = list(tokenizer("a").input_ids), list(tokenizer("a", add_special_tokens=False).input_ids)
    behind = (len(ids) - start - len(bare) for start in range(len(ids) - len(bare), -1, -1))
    return next((count for count in behind if ids[len(ids) - count - len(bare) : len(ids) - count] == bare), 0)
