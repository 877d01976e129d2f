"""How well a model predicts plain text: the sums that both readings of perplexity are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.models.check import packed_for
from lib.models.likelihood import score_targets
from lib.models.packing import Item, batches
from lib.models.tokens import prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class TextScore:
    """What a model makes of one text."""

    nll: float
    """Sum over predicted tokens of -log p, in nats."""
    predicted: int
    """Tokens that something came before: all but the first."""
    tokens: int


def text_scores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_tokens: int,
    micro_batch_tokens: int,
    progress: Callable[[Sequence[list[int]]], Iterable[list[int]]] = lambda batches: batches,
) -> list[TextScore | None]:
    """The score of each text's first `max_tokens` tokens; None for a text of one token, of which nothing is predicted.

    Every text is read alone, with the special tokens that its tokenizer adds. `progress` passes on the batches.
    """
    encoded = [prompt_ids(tokenizer, text)[:max_tokens] for text in texts]
    indices = [index for index, ids in enumerate(encoded) if len(ids) > 1]
    items = [Item(prompt=tuple(encoded[index][:1]), targets=(tuple(encoded[index][1:]),)) for index in indices]
    scores: list[TextScore | None] = [None] * len(texts)
    order = sorted(range(len(items)), key=lambda index: -items[index].length)
    for batch in progress(batches(items, micro_batch_tokens, order)):
        scored = score_targets(model, packed_for(model, [items[index] for index in batch]))
        for index, nll, predicted in zip(batch, scored.nll.tolist(), scored.tokens.tolist(), strict=True):
            scores[indices[index]] = TextScore(nll=nll, predicted=predicted, tokens=predicted + 1)
    return scores
