"""Small general-ability tasks made from the facts that a run leaves unedited: its pool."""

from collections.abc import Sequence
from random import Random
from typing import Any

from lib.core.errors import InputError
from lib.core.records import Fact
from lib.core.texts import join, normalize

Document = dict[str, Any]
CHOICES = 4
EXAMPLES = 4
"""Worked examples that the yes/no questions come after."""


def recall_documents(pool: Sequence[Fact]) -> list[Document]:
    """Every fact: its prompt, and what should come next."""
    return [
        {"prompt": fact.prompt, "continuation": join(fact.prompt, fact.target)[len(fact.prompt) :]} for fact in pool
    ]


def four_choice(pool: Sequence[Fact], seed: int) -> list[Document]:
    """Every fact with its own target among three others, in random order; `gold` is its place.

    The others are targets of the fact's relation (or template), then of any. Raises InputError where the whole pool
    has fewer than four different targets.
    """
    random = Random(f"{seed}/four_choice")
    collected = []
    for fact, rivals in _rivals(pool, CHOICES - 1, random):
        choices = random.sample([fact.target, *rivals], CHOICES)
        collected.append({"prompt": fact.prompt, "choices": choices, "gold": choices.index(fact.target)})
    return collected


def yes_no(pool: Sequence[Fact], seed: int) -> tuple[list[Document], list[Document]]:
    """(examples, questions): a statement each, true (`gold` 1) and false (0) by turns.

    A false one has another target of its relation. The examples are facts that no question is about. Raises InputError
    where the pool has too few facts or targets.
    """
    random = Random(f"{seed}/yes_no")
    if len(pool) <= EXAMPLES:
        raise InputError(f"wanted a pool of more than {EXAMPLES} facts; found {len(pool)}")
    collected = []
    for number, (fact, (rival,)) in enumerate(_rivals(random.sample(pool, len(pool)), 1, random)):
        gold = (number + 1) % 2
        statement = join(fact.prompt, fact.target if gold else rival)
        collected.append({"statement": f"{statement}.", "gold": gold})
    return collected[:EXAMPLES], collected[EXAMPLES:]


def _rivals(pool: Sequence[Fact], count: int, random: Random) -> list[tuple[Fact, list[str]]]:
    """Each fact with `count` other targets that differ from its own and from each other."""
    everything = _different([fact.target for fact in pool])
    if len(everything) <= count:
        raise InputError(f"wanted a pool of facts with at least {count + 1} different targets; found {len(everything)}")
    groups: dict[str, list[str]] = {}
    for fact in pool:
        groups.setdefault(_group(fact), []).append(fact.target)
    near = {name: _different(targets) for name, targets in groups.items()}
    pairs = []
    for fact in pool:
        own = normalize(fact.target)
        candidates = [candidate for candidate in near[_group(fact)] if normalize(candidate) != own]
        rivals = random.sample(candidates, min(count, len(candidates)))
        if len(rivals) < count:
            taken = {own, *map(normalize, rivals)}
            rivals += random.sample(
                [candidate for candidate in everything if normalize(candidate) not in taken], count - len(rivals)
            )
        pairs.append((fact, rivals))
    return pairs


def _group(fact: Fact) -> str:
    return fact.relation or fact.template or ""


def _different(targets: Sequence[str]) -> list[str]:
    return list({normalize(target): target for target in targets}.values())
