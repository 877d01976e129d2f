"""What the unedited model is expected to know, and how much of it it does know."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Fact, Request
from lib.models.likelihood import score_targets
from lib.models.packing import batches, pack
from lib.models.tokens import encode


def known_facts(requests: Sequence[Request], pool: Sequence[Fact]) -> list[tuple[str, str]]:
    """Every (prompt, true answer) in the records: what the unedited model is expected to know."""
    pairs = [(fact.prompt, fact.target) for fact in pool]
    for request in requests:
        pairs += [(locality.prompt, locality.target) for locality in request.locality]
        pairs += [(request.prompt, request.target_true)] if request.target_true is not None else []
    return pairs


def recall(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[tuple[str, str]],
    micro_batch_tokens: int,
) -> float:
    """Share of (prompt, target) pairs whose target is the greedy continuation (every token the argmax)."""
    items = encode(tokenizer, [prompt for prompt, _ in pairs], [(target,) for _, target in pairs])
    recalled = 0
    for batch in batches(items, micro_batch_tokens):
        scores = score_targets(model, pack([items[index] for index in batch]).to(model.device))
        recalled += int((scores.correct == scores.tokens).sum())
    return recalled / len(items)
