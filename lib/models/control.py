"""Control tokens in texts: in data they are letters; where a template or a method puts them, they are meant."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Rendered(str):
    """A text whose control tokens are meant, as a chat template renders it. What is added to it is part of it."""

    __slots__ = ()

    def __add__(self, following: str) -> Rendered:
        return Rendered(str(self).__add__(str(following)))

    def __radd__(self, before: str) -> Rendered:
        return Rendered(before.__add__(str(self)))


def rendered_like(prompt: str, text: str) -> str:
    """`text`, whose control tokens are meant where those of `prompt` are."""
    return Rendered(text) if isinstance(prompt, Rendered) else text


def has_control(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether the tokenizer would take part of the text for a control token that is not meant."""
    return not isinstance(text, Rendered) and bool(_control(tokenizer, len(tokenizer)).search(text))


def apart(tokenizer: PreTrainedTokenizerBase, text: str, prompt: str | None = None) -> str:
    """A text of data for a Rendered one, in which a control token of its own gets a space and so is none.

    Args:
        tokenizer: what knows the control tokens.
        text: the data.
        prompt: what the text is put behind; where that is not Rendered, the text stays as it is.
    """
    if prompt is not None and not isinstance(prompt, Rendered):
        return text
    return _control(tokenizer, len(tokenizer)).sub(lambda match: f"{match[0][:1]} {match[0][1:]}", text)


@lru_cache(maxsize=8)
def _control(tokenizer: PreTrainedTokenizerBase, size: int) -> re.Pattern[str]:
    """Finds the control tokens of a tokenizer of this size, longest first."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens = sorted({*added, *map(str, tokenizer.all_special_tokens)} - {""}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, tokens)) or r"(?!)")
