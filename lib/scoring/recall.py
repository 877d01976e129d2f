"""What the unedited model knows: a fact is known where its object is the greedy continuation of its prompt.

The greedy continuation is the object where every token of the object is the most likely one after those before it, so
one pass over prompt and object tells.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Fact, Request
from lib.models.check import packed_for
from lib.models.likelihood import score_targets
from lib.models.packing import batches
from lib.models.tokens import encode

Pair = tuple[str, str]
"""Prompt and true object."""
_PASS = 256
"""Facts between two reports of progress."""


def statements(requests: Sequence[Request], pool: Sequence[Fact]) -> list[Pair]:
    """Every different (prompt, true object) in the records, as they come."""
    pairs = [(fact.prompt, fact.target) for fact in pool]
    for request in requests:
        pairs += [(locality.prompt, locality.target) for locality in request.locality]
        pairs += [(request.prompt, request.target_true)] if request.target_true is not None else []
    return list(dict.fromkeys(pairs))


def recalled(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    micro_batch_tokens: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda starts: starts,
) -> list[bool]:
    """For every (prompt, object), whether the model's greedy continuation of the prompt is the object."""
    answers: list[bool] = []
    for start in progress(range(0, len(pairs), _PASS)):
        part = pairs[start : start + _PASS]
        items = encode(tokenizer, [prompt for prompt, _ in part], [(target,) for _, target in part])
        recalled = [False] * len(items)
        for batch in batches(items, micro_batch_tokens, sorted(range(len(items)), key=lambda row: -items[row].length)):
            scores = score_targets(model, packed_for(model, [items[row] for row in batch]))
            for row, is_known in zip(batch, (scores.correct == scores.tokens).tolist(), strict=True):
                recalled[row] = is_known
        answers += recalled
    return answers


def only_known(
    requests: Sequence[Request], pool: Sequence[Fact], knows: dict[Pair, bool], limit: int | None, requests_too: bool
) -> tuple[list[Request], list[Fact]]:
    """The requests and the pool, of which only what the model knows is left.

    Args:
        knows: whether the model knows a (prompt, true object), by that pair.
        limit: the first so many requests; None = all.
        requests_too: requests whose true object the model does not know go as well, and from those that stay the
            locality prompts that it does not know, unless it knows none of them; else requests stay as they are.
    """
    facts = [fact for fact in pool if knows[fact.prompt, fact.target]]
    if requests_too:
        requests = [
            _with_known_locality(request, knows)
            for request in requests
            if request.target_true is not None and knows[request.prompt, request.target_true]
        ]
    return list(requests[:limit]), facts


def _with_known_locality(request: Request, knows: dict[Pair, bool]) -> Request:
    locality = tuple(prompt for prompt in request.locality if knows[prompt.prompt, prompt.target])
    return replace(request, locality=locality or request.locality)
