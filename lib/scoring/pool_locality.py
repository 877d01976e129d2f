"""Locality prompts for facts of one's own that give none: known facts of the pool, about their subjects and others.

What an edit harms first is what else the model says about its subject (KnowEdit's locality, arXiv 2401.01286), so
that facts about other subjects alone would not show it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from math import ceil
from random import Random

from lib.core.inflection import FUNCTION_WORDS, comparable
from lib.core.records import Fact, LocalityPrompt, Request
from lib.core.texts import contains, normalize, words

SHARE_OF_POOL = 0.25
"""So much of the pool may become locality prompts; the rest is left to train on."""
SHARE_OF_SUBJECT = 0.5
"""So many of the relations that are known of an edit's subject, rounded up."""
_ASKING = FUNCTION_WORDS | {"what", "when", "where", "why", "how", "does", "do", "did"}
"""Words that say nothing of what a prompt asks for."""


def with_pool_locality(requests: Sequence[Request], pool: Sequence[Fact], count: int, seed: int) -> list[Request]:
    """The requests, of which those without a locality prompt have facts of `pool`, drawn with `seed`.

    Each has up to `count` about its own subject and `count` about others. About its own: each of another relation,
    SHARE_OF_SUBJECT of the known ones at most, and none that may say what is edited (`_may_say`). About others: their
    subject, or where they name none their prompt, does not occur in a prompt that any request is scored on. No fact
    is drawn twice. At most SHARE_OF_POOL of the pool is drawn. Requests that are added at the end leave the draws of
    the others as they are, unless they are about a fact that was drawn.

    Args:
        pool: facts that the unedited model knows.
    """
    scored = " | ".join(f" {normalize(prompt)} " for request in requests for prompt in request.evaluation_prompts)
    facts = Random(seed).sample(pool, len(pool))
    unrelated = (fact for fact in facts if f" {normalize(fact.subject or fact.prompt)} " not in scored)
    about = _by_subject(requests, facts)
    left = int(SHARE_OF_POOL * len(pool))
    completed = []
    for request in requests:
        if not request.locality:
            own = list(islice(about.get(_subject(request), iter(())), min(count, left)))
            elsewhere = list(islice(unrelated, min(count, left - len(own))))
            left -= len(own) + len(elsewhere)
            locality = tuple(LocalityPrompt(prompt=fact.prompt, target=fact.target) for fact in (*own, *elsewhere))
            request = replace(request, locality=locality)
        completed.append(request)
    return completed


def about_own_subject(requests: Sequence[Request]) -> int:
    """How many of the locality prompts name the subject of their request."""
    return sum(
        contains(locality.prompt, request.subject or "") for request in requests for locality in request.locality
    )


def _by_subject(requests: Sequence[Request], facts: Sequence[Fact]) -> dict[str, Iterator[Fact]]:
    """By the subject of any request, as it is compared: the facts that may be drawn about it, one of a relation."""
    edits: dict[str, list[Request]] = {}
    for request in requests:
        edits.setdefault(_subject(request), []).append(request)
    edits.pop("", None)
    of_relation: dict[str, dict[str, Fact]] = {subject: {} for subject in edits}
    for fact in facts:
        subject = _subject(fact)
        if subject in edits and not any(_may_say(fact, request) for request in edits[subject]):
            of_relation[subject].setdefault(fact.relation or comparable(fact.target), fact)
    return {
        subject: islice(relations.values(), ceil(SHARE_OF_SUBJECT * len(relations)))
        for subject, relations in of_relation.items()
    }


def _may_say(fact: Fact, request: Request) -> bool:
    """Whether a fact about the subject of `request` may be what it edits, in other words.

    So where both name one relation, where the fact's answer is the request's new or true one, or where the fact's
    prompt and one of the request's have a word in common beside the subject and words of grammar.
    """
    if fact.relation is not None and fact.relation == request.relation:
        return True
    if comparable(fact.target) in {comparable(request.target_new), comparable(request.target_true or "")}:
        return True
    prompts = " ".join((request.prompt, *request.paraphrases, *request.train_paraphrases))
    return bool(_content(fact.prompt, fact.subject) & _content(prompts, request.subject))


def _content(text: str, subject: str | None) -> set[str]:
    """The words of a text beside its subject's and those of grammar."""
    return set(words(comparable(text))) - _ASKING - set(words(comparable(subject or "")))


def _subject(record: Fact | Request) -> str:
    """As subjects are compared: "the Netherlands" is "Netherlands"; empty where there is none."""
    return comparable(record.subject or "").removeprefix("the ")
