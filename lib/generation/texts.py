"""Texts continued by transformers: what the decoding engine (decoding.py) needs of prompts, stop texts and answers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.generation.decoding import continuations
from lib.generation.engine import EncodedPrompt, Prompt, Sampling
from lib.models.tokens import prompt_ids

ShowTexts = Callable[[Iterable[Any], int], Iterable[Any]]
_TAIL = 8
"""Tokens that are decoded to see whether a text holds a stop text."""


def untold(texts: Iterable[Any], total: int) -> Iterable[Any]:
    """The texts, without a word about how many there are."""
    return texts


class TransformersGenerator:
    """Continuations by a transformers model on its own device; the shared prefix is computed once a call."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, show: ShowTexts = untold
    ) -> None:  # fmt: skip
        """`show`: passes texts on as they end, and tells how many of so many there are."""
        self._model = model
        self._tokenizer = tokenizer
        self._show = show

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The continuation of `shared_prefix` + each prompt's text, in the order of the prompts."""
        prefix = tuple(prompt_ids(self._tokenizer, shared_prefix)) if shared_prefix else ()
        encoded = [
            EncodedPrompt(
                ids=tuple(prompt_ids(self._tokenizer, shared_prefix + prompt.text)),
                tokens=sampling.max_tokens,
                seed=prompt.seed,
                end=self._tokenizer.eos_token_id,
                prefix=prefix,
            )
            for prompt in prompts
        ]

        ended = stopped(self._tokenizer, sampling.stop)
        tokens = continuations(
            self._model, encoded, sampling, ended=ended, show=lambda texts: self._show(texts, len(prompts))
        )
        return [text_of(self._tokenizer, ids, sampling.stop) for ids in tokens]

    def prefix_cache_hit_rate(self) -> float | None:
        """None: the shared prefix is computed once a call, as the code says."""
        return None


def stopped(tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> Callable[[Sequence[int]], bool]:
    """Whether the last tokens of a text hold one of the texts in `stop`."""
    if not stop:
        return lambda tokens: False
    return lambda tokens: any(text in tokenizer.decode(list(tokens[-_TAIL:])) for text in stop)


def text_of(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int], stop: Sequence[str]) -> str:
    """The tokens as text, cut before the first of the texts in `stop`, without special tokens."""
    text = str(tokenizer.decode(list(tokens), skip_special_tokens=True))
    for stop_text in stop:
        text = text.split(stop_text)[0]
    return text
