"""What is asked of the unedited model, and what stays of requests and pool where only known facts are worked with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lib.core.files import rounded
from lib.core.records import Fact, RecalledFact, Request
from lib.core.tables import write

Pair = tuple[str, str]
"""Prompt and true object."""


def statements(requests: Sequence[Request], pool: Sequence[Fact]) -> list[Pair]:
    """Every different (prompt, true object) in the records, as they come."""
    pairs = [(fact.prompt, fact.target) for fact in pool]
    for request in requests:
        pairs += [(locality.prompt, locality.target) for locality in request.locality]
        pairs += [(request.prompt, request.target_true)] if request.target_true is not None else []
    return list(dict.fromkeys(pairs))


def write_answers(path: Path, answers: Mapping[Pair, bool]) -> dict[str, float | None]:
    """Write what was asked, in its order; return how many, and how many of them the model knows, in percent."""
    rows = [
        RecalledFact(prompt=prompt, target=target, is_known=is_known) for (prompt, target), is_known in answers.items()
    ]
    write(path, RecalledFact, rows)
    return {"asked": len(answers), "known": rounded(100 * sum(answers.values()) / max(1, len(answers)), 2)}


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
