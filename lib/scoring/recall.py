"""What the unedited model is expected to know, and how much of it it does know."""

from collections.abc import Sequence
from typing import Any

from lib.core.records import Fact, Request
from lib.models.likelihood import score_targets
from lib.models.packing import batches, pack
from lib.models.tokens import encode


def known_facts(requests: Sequence[Request], pool: Sequence[Fact]) -> list[tuple[str, str]]:
    """Every (prompt, true answer) in the records: what the unedited model is expected to know."""
    known = [(fact.prompt, fact.target) for fact in pool]
    for request in requests:
        known += [(one.prompt, one.target) for one in request.locality]
        known += [(request.prompt, request.target_true)] if request.target_true is not None else []
    return known


def recall(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], micro_batch_tokens: int) -> float:
    """Share of (prompt, target) pairs whose target is the greedy continuation (every token the argmax)."""
    items = encode(tokenizer, [prompt for prompt, _ in pairs], [(target,) for _, target in pairs])
    known = 0
    for batch in batches(items, micro_batch_tokens):
        found = score_targets(model, pack([items[index] for index in batch]).to(model.device))
        known += int((found.correct == found.tokens).sum())
    return known / len(items)
