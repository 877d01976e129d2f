"""Texts continued token by token, the rows of a batch in step however long their prompts are.

At every step each row reads one token: the next one of its prompt, or the one that was chosen for it (so does the ROME
release, arXiv 2202.05262). Nothing is padded or masked, and prompts of unlike length share a batch. All batches have
the same number of rows (a short one is filled up with copies) and a row's random stream moves on with its place, so
that a text does not depend, to the bit, on its company: on what else is asked for, how it is cut up, or who does it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from lib.generation.engine import Sampling, choose, stream


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One prompt as token ids, and what is to follow."""

    ids: tuple[int, ...]
    """At least one."""
    tokens: int
    """How many are to follow, at most; none where it is below one."""
    seed: int = 0
    """Of this text's own random stream."""
    end: int | None = None
    """A token that ends the text; it is the last one then. None: all tokens are drawn."""

    @property
    def length(self) -> int:
        """Tokens with the prompt, at most."""
        return len(self.ids) + max(self.tokens, 0)


def cut(asked: Sequence[Asked], rows: int) -> list[list[int]]:
    """The places of `asked` in batches of `rows`, the longest first, so that rows of a batch end at about one time."""
    order = sorted(range(len(asked)), key=lambda place: -asked[place].length)
    return [order[start : start + rows] for start in range(0, len(order), rows)]


@torch.inference_mode()
def continued(
    model: Any, asked: Sequence[Asked], sampling: Sampling, *, rows: int, together: int = 0
) -> list[list[int]]:
    """The tokens that follow each prompt of one batch of at most `rows` prompts.

    Of `sampling` its way of choosing counts; lengths and ends are each prompt's own. The first `together` tokens, which
    all prompts must have in common and which must leave each one of its own, are read at once.
    """
    full = [*asked, *[asked[-1]] * (rows - len(asked))]
    streams = [stream(one.seed) for one in full]
    drawn: list[list[int]] = [[] for _ in full]
    running = {row for row, one in enumerate(full) if one.tokens > 0}
    cache = _read(model, full[0].ids[:together], rows)
    reads = [one.ids[together] for one in full]
    place = together
    while running:
        step = torch.tensor(reads, device=model.device)[:, None]  # [b, 1]
        logits = model(step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1].float()  # [b, v]
        place += 1
        # Every row draws at every step, also while its prompt is read: how far its stream is depends on its place only.
        reads = choose(logits, streams, sampling)
        for row, one in enumerate(full):
            if place < len(one.ids):
                reads[row] = one.ids[place]
            elif row in running:
                drawn[row].append(reads[row])
                if len(drawn[row]) == one.tokens or reads[row] == one.end:
                    running.discard(row)
    return drawn[: len(asked)]


def _read(model: Any, ids: Sequence[int], rows: int) -> DynamicCache:
    """The keys and values of `ids`, computed once, for as many rows."""
    cache = DynamicCache()
    if ids:
        model(torch.tensor([list(ids)], device=model.device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(rows)
    return cache
