"""Sampled texts of prompts of unlike length: the same bits in every batch, and no row computed twice.

equal_length.py fills batches up with copies where few prompts have one length; here all prompts of a call share batches
(token_by_token.py), which is faster where prompts are short and many.
"""

from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.generation import token_by_token
from lib.generation.engine import Prompt, Sampling
from lib.generation.token_by_token import EncodedPrompt
from lib.models.tokens import prompt_ids

_ROWS = 16


class MixedLengthGenerator:
    """Continuations by a transformers model on its own device; the shared prefix is computed once a batch."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model = model
        self._tokenizer = tokenizer

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The continuation of `shared_prefix` + each prompt's text, in the order of the prompts."""
        end = self._tokenizer.eos_token_id
        encoded = [
            EncodedPrompt(
                ids=tuple(prompt_ids(self._tokenizer, shared_prefix + prompt.text)),
                tokens=sampling.max_tokens,
                seed=prompt.seed,
                end=end,
            )
            for prompt in prompts
        ]
        prefix = prompt_ids(self._tokenizer, shared_prefix) if shared_prefix else []
        texts = [""] * len(prompts)
        for batch in token_by_token.length_sorted_batches(encoded, _ROWS):
            rows = [encoded[index] for index in batch]
            token_ids = token_by_token.continue_batch(
                self._model, rows, replace(sampling, stop=()), rows=_ROWS, shared_tokens=_shared(prefix, rows)
            )
            for index, ids in zip(batch, token_ids, strict=True):
                texts[index] = self._text(ids, sampling)
        return texts

    def prefix_cache_hit_rate(self) -> float | None:
        """None: the shared prefix is computed once a batch, as the code says."""
        return None

    def _text(self, ids: Sequence[int], sampling: Sampling) -> str:
        text = str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
        for stop in sampling.stop:
            text = text.split(stop)[0]
        return text


def _shared(prefix: Sequence[int], rows: Sequence[EncodedPrompt]) -> int:
    """How many tokens of the prefix every row begins with, at least one token being left to each."""
    shared = min(len(prefix), *(len(row.ids) - 1 for row in rows))
    while shared and any(list(row.ids[:shared]) != list(prefix[:shared]) for row in rows):
        shared -= 1
    return shared
