"""Continuations by transformers in batches of equal prompt length: the same bits whatever else is generated.

Prompts of equal length share a batch, whose size is always the same, so that a prompt's computation does not depend on
the other prompts. The prefix that all prompts of a call share is computed once.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from lib.generation.engine import Prompt, Sampling, choose, stream
from lib.generation.plain import continue_plain, needs_plain
from lib.models.tokens import prompt_ids

BATCH_ROWS = 16
"""Rows of every batch; a batch that is not full is filled up with copies, so that all have the same shape."""


class TransformersGenerator:
    """Continuations by a transformers model on its own device; the shared prefix is computed once a call."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model = model
        self._tokenizer = tokenizer

    @torch.inference_mode()
    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The continuation of `shared_prefix` + each prompt's text, in the order of the prompts."""
        encoded = [prompt_ids(self._tokenizer, shared_prefix + prompt.text) for prompt in prompts]
        if needs_plain(self._model):
            return [self._plain(ids, prompt, sampling) for ids, prompt in zip(encoded, prompts, strict=True)]
        shared = self._shared_tokens(shared_prefix, encoded)
        prefix_cache = self._prefill(encoded[0][:shared]) if shared else None
        texts = [""] * len(prompts)
        for batch in _equal_length_batches([ids[shared:] for ids in encoded]):
            suffix = torch.tensor([encoded[index][shared:] for index in batch], device=self._model.device)
            streams = [stream(prompts[index].seed) for index in batch]
            continuations = self._continue(suffix, prefix_cache, streams, sampling)
            for row, index in enumerate(batch):
                texts[index] = self._text(continuations[row], sampling)
        return texts

    def prefix_cache_hit_rate(self) -> float | None:
        """None: the shared prefix is computed once a call, as the code says."""
        return None

    def _plain(self, ids: Sequence[int], prompt: Prompt, sampling: Sampling) -> str:
        end = self._tokenizer.eos_token_id
        tokens = continue_plain(
            self._model, ids, sampling, tokens=sampling.max_tokens, seed=prompt.seed, end=end
        )  # fmt: skip
        return self._text(tokens, sampling)

    def _shared_tokens(self, shared_prefix: str, encoded: Sequence[Sequence[int]]) -> int:
        """How many leading tokens all prompts have in common, at least one token being left to each."""
        if not shared_prefix or not encoded:
            return 0
        prefix = prompt_ids(self._tokenizer, shared_prefix)
        shared = min(len(prefix), *(len(ids) - 1 for ids in encoded))
        while shared and any(list(ids[:shared]) != prefix[:shared] for ids in encoded):
            shared -= 1
        return shared

    def _prefill(self, ids: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        cache = DynamicCache()
        self._model(torch.tensor([ids], device=self._model.device), past_key_values=cache, use_cache=True)
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _continue(
        self,
        suffix: Tensor,
        prefix_cache: list[tuple[Tensor, Tensor]] | None,
        streams: Sequence[torch.Generator],
        sampling: Sampling,
    ) -> list[list[int]]:
        """Tokens drawn for every row of `suffix` [b, t], until all rows have ended or the limit is reached."""
        b = suffix.shape[0]
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(prefix_cache or []):
            cache.update(keys.expand(b, -1, -1, -1), values.expand(b, -1, -1, -1), layer)
        continuations: list[list[int]] = [[] for _ in range(b)]
        running = set(range(b))
        step = suffix
        for _ in range(sampling.max_tokens):
            logits = self._model(step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1].float()
            next_tokens = choose(logits, streams, sampling)
            for row in tuple(running):
                continuations[row].append(next_tokens[row])
                if self._ended(continuations[row], sampling):
                    running.discard(row)
            if not running:
                break
            step = torch.tensor(next_tokens, device=suffix.device)[:, None]
        return continuations

    def _ended(self, tokens: list[int], sampling: Sampling) -> bool:
        if tokens[-1] == self._tokenizer.eos_token_id:
            return True
        return bool(sampling.stop) and any(stop in self._tokenizer.decode(tokens[-8:]) for stop in sampling.stop)

    def _text(self, tokens: list[int], sampling: Sampling) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        for stop in sampling.stop:
            text = text.split(stop)[0]
        return text


def _equal_length_batches(suffixes: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indices of `suffixes` in batches of BATCH_ROWS of equal length, the last one filled up with its last index."""
    by_length: dict[int, list[int]] = {}
    for index, ids in enumerate(suffixes):
        by_length.setdefault(len(ids), []).append(index)
    for same in by_length.values():
        for start in range(0, len(same), BATCH_ROWS):
            batch = same[start : start + BATCH_ROWS]
            yield batch + [batch[-1]] * (BATCH_ROWS - len(batch))
