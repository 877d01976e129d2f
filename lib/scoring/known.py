"""What is asked of the unedited model, and what stays of requests and pool where only known facts are worked with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

from lib.core.files import rounded
from lib.core.records import Fact, LocalityPrompt, RecalledFact, Request
from lib.core.tables import write
from lib.core.texts import normalize

Pair = tuple[str, str]
"""Prompt and true object."""
SHARE_OF_POOL = 0.25
"""So much of the pool may become locality prompts; the rest is left to train on."""


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


def with_pool_locality(requests: Sequence[Request], pool: Sequence[Fact], count: int, seed: int) -> list[Request]:
    """The requests, of which those without a locality prompt have `count` facts of `pool`, drawn with `seed`.

    No fact is drawn twice, nor one about what is edited: its subject, or where it names none its prompt, does not occur
    in a prompt that any request is scored on. At most SHARE_OF_POOL of the pool is drawn. Requests that are added at
    the end leave the draws of the others as they are, unless they are about a fact that was drawn.

    Args:
        pool: facts that the unedited model knows.
    """
    scored = " | ".join(f" {normalize(prompt)} " for request in requests for prompt in request.evaluation_prompts)
    facts = Random(seed).sample(pool, len(pool))
    unrelated = (fact for fact in facts if f" {normalize(fact.subject or fact.prompt)} " not in scored)
    left = int(SHARE_OF_POOL * len(pool))
    completed = []
    for request in requests:
        if not request.locality:
            facts_of_pool = islice(unrelated, min(count, left))
            locality = tuple(LocalityPrompt(prompt=fact.prompt, target=fact.target) for fact in facts_of_pool)
            left -= len(locality)
            request = replace(request, locality=locality)
        completed.append(request)
    return completed
