"""Texts continued token by token, prompts of unlike length sharing a batch.

At every step each row reads one token: the next one of its prompt, or the one that was drawn for it (so does the ROME
release, arXiv 2202.05262). Nothing is padded or masked. All batches have the same number of rows (a short one is filled
up with copies) and a row's random stream moves on by one number a position, so that a text does not depend, to the bit,
on what else is generated, how it is batched, or which process generates it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel

from lib.generation.engine import Sampling, choose, stream
from lib.generation.plain import continue_plain, needs_plain


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

    @property
    def length(self) -> int:
        """The most tokens of prompt and continuation together."""
        return len(self.ids) + max(self.tokens, 0)


def length_sorted_batches(prompts: Sequence[EncodedPrompt], rows: int) -> list[list[int]]:
    """Indices of `prompts` in batches of `rows`, longest first, so that the rows of a batch end at about one time."""
    order = sorted(range(len(prompts)), key=lambda index: -prompts[index].length)
    return [order[start : start + rows] for start in range(0, len(order), rows)]


@torch.inference_mode()
def continue_batch(
    model: PreTrainedModel, prompts: Sequence[EncodedPrompt], sampling: Sampling, *, rows: int, shared_tokens: int = 0
) -> list[list[int]]:
    """The tokens that follow each prompt of one batch of at most `rows` prompts.

    `sampling` says how a token is drawn; lengths and ends are each prompt's own. The first `shared_tokens` tokens,
    which must be the same in all prompts and leave at least one token of each, are read in one forward pass.
    """
    if needs_plain(model):
        return [
            continue_plain(model, prompt.ids, sampling, tokens=prompt.tokens, seed=prompt.seed, end=prompt.end)
            for prompt in prompts
        ]
    batch = [*prompts, *[prompts[-1]] * (rows - len(prompts))]
    streams = [stream(prompt.seed) for prompt in batch]
    continuations: list[list[int]] = [[] for _ in batch]
    running = {row for row, prompt in enumerate(batch) if prompt.tokens > 0}
    cache = _prefill(model, batch[0].ids[:shared_tokens], rows)
    next_tokens = [prompt.ids[shared_tokens] for prompt in batch]
    position = shared_tokens
    while running:
        step = torch.tensor(next_tokens, device=model.device)[:, None]  # [b, 1]
        logits = model(step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1].float()  # [b, v]
        position += 1
        # Every row draws at every step, also while its prompt is read: its stream depends on its position only.
        next_tokens = choose(logits, streams, sampling)
        for row, prompt in enumerate(batch):
            if position < len(prompt.ids):
                next_tokens[row] = prompt.ids[position]
            elif row in running:
                continuations[row].append(next_tokens[row])
                if len(continuations[row]) == prompt.tokens or next_tokens[row] == prompt.end:
                    running.discard(row)
    return continuations[: len(prompts)]


def _prefill(model: PreTrainedModel, ids: Sequence[int], rows: int) -> DynamicCache:
    """The keys and values of `ids`, computed once and repeated for `rows` rows."""
    cache = DynamicCache()
    if ids:
        model(torch.tensor([list(ids)], device=model.device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(rows)
    return cache
