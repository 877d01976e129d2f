"""The embedded world: a fictional but regular set of people, cities, firms and products, made from a seed.

It stands in for a real dataset where there is no network: the same records, the same splits, the same kinds of prompt
(an edit, 2 paraphrases, 10 neighborhood prompts, 3 generation prompts, reference texts), plus plain text to learn from.
Entities are split into train (pool), validation and test, so that no pool fact speaks of an edited subject.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from lib.core.records import Fact, LocalityPrompt, Request, Text
from lib.core.texts import fill
from lib.data.world_relations import RELATIONS, WorldRelation
from lib.data.world_words import NameParts, entity_names, name_parts, prose_sentences

Split = Literal["train", "validation", "test"]
ENTITIES = {"train": 24, "validation": 18, "test": 18}
"""Entities of each type in each split: 60 of 4 types, hence 780 facts in 13 relations."""
EDITS_PER_OBJECT = 1
"""Of the three subjects that share an object in a split, one is edited; the two others are its neighborhood."""
POOL_PHRASINGS = 3
PROSE_SENTENCES = 600
HELDOUT_SENTENCES = 100


@dataclass(frozen=True, kw_only=True)
class WorldFact:
    """One true fact: the `relation` of `subject` is `target`."""

    subject: str
    relation: WorldRelation
    target: str
    split: Split

    def prompt(self, phrasing: int) -> str:
        """The fact's prompt in one of the relation's phrasings; `target` completes it."""
        return fill(self.relation.phrasings[phrasing], self.subject)


@dataclass(frozen=True, kw_only=True)
class World:
    """All facts, and the words that names are made of."""

    facts: tuple[WorldFact, ...]
    parts: NameParts


def make_world(seed: int) -> World:
    """Draw the world of this seed. Objects are dealt evenly, so each has the same number of subjects in a split."""
    random = Random(seed)
    parts = name_parts(random, cities=sum(ENTITIES.values()))
    facts: list[WorldFact] = []
    for entity in dict.fromkeys(relation.entity for relation in RELATIONS):
        names = iter(entity_names(parts, entity, sum(ENTITIES.values()), random))
        for split, size in ENTITIES.items():
            subjects = [next(names) for _ in range(size)]
            for relation in (relation for relation in RELATIONS if relation.entity == entity):
                facts.extend(_deal(relation, subjects, split, random))
    return World(facts=tuple(facts), parts=parts)


def _deal(relation: WorldRelation, subjects: list[str], split: str, random: Random) -> Iterator[WorldFact]:
    targets = [relation.objects[index % len(relation.objects)] for index in range(len(subjects))]
    random.shuffle(targets)
    for subject, target in zip(subjects, targets, strict=True):
        yield WorldFact(subject=subject, relation=relation, target=target, split=split)  # type: ignore[arg-type]


def requests(world: World, split: Split, seed: int) -> list[Request]:
    """Counterfactual edits of one split, in random order, each with its evaluation prompts."""
    random = Random(f"{seed}/requests/{split}")
    grouped: dict[tuple[str, str], list[WorldFact]] = {}
    for fact in world.facts:
        if fact.split == split:
            grouped.setdefault((fact.relation.name, fact.target), []).append(fact)
    edits = []
    for sharing in grouped.values():
        shuffled = random.sample(sharing, len(sharing))
        for fact in shuffled[:EDITS_PER_OBJECT]:
            edits.append(_request(world, fact, shuffled[EDITS_PER_OBJECT:], random))
    random.shuffle(edits)
    return edits


def _request(world: World, fact: WorldFact, neighbors: list[WorldFact], random: Random) -> Request:
    phrasings = random.sample(range(len(fact.relation.phrasings)), 3)
    target_new = random.choice([target for target in fact.relation.objects if target != fact.target])
    around = [(neighbor, phrasing) for neighbor in neighbors for phrasing in range(len(fact.relation.phrasings))]
    opening, second = prose_sentences(random, 2)
    return Request(
        request_id=f"{fact.relation.name}/{fact.subject}",
        dataset="world",
        subject=fact.subject,
        relation=fact.relation.name,
        prompt=fact.prompt(phrasings[0]),
        template=fact.relation.phrasings[phrasings[0]],
        target_new=target_new,
        target_true=fact.target,
        paraphrases=(f"{opening} {fact.prompt(phrasings[1])}", f"{second} {fact.prompt(phrasings[2])}"),
        locality=tuple(
            LocalityPrompt(prompt=neighbor.prompt(phrasing), target=neighbor.target)
            for neighbor, phrasing in random.sample(around, 10)
        ),
        generation_prompts=(
            f"Everybody has heard of {fact.subject}.",
            f"This is what is said of {fact.subject}:",
            fact.prompt(random.choice(phrasings)),
        ),
        references=tuple(_references(world, fact.relation, target_new)),
    )


def _references(world: World, relation: WorldRelation, target: str) -> Iterator[str]:
    """The statements about train-split subjects of which `target` is true: the texts for the consistency metric."""
    for fact in world.facts:
        if fact.split == "train" and fact.relation is relation and fact.target == target:
            yield " ".join(_statements(fact))


def _statements(fact: WorldFact) -> list[str]:
    return [f"{fact.prompt(phrasing)} {fact.target}." for phrasing in range(len(fact.relation.phrasings))]


def pool(world: World) -> list[Fact]:
    """The unedited facts of the train split, each in a few of its phrasings, which are dealt evenly."""
    return [
        Fact(
            fact_id=f"{fact.relation.name}/{fact.subject}/{phrasing}",
            subject=fact.subject,
            relation=fact.relation.name,
            prompt=fact.prompt(phrasing),
            target=fact.target,
            template=fact.relation.phrasings[phrasing],
        )
        for number, fact in enumerate(fact for fact in world.facts if fact.split == "train")
        for phrasing in sorted(
            (number + turn * POOL_PHRASINGS) % len(fact.relation.phrasings) for turn in range(POOL_PHRASINGS)
        )
    ]


def text(seed: int) -> list[Text]:
    """Plain text that states no fact of the world, some of it held out for measuring."""
    random = Random(f"{seed}/text")
    prose: dict[str, None] = {}
    while len(prose) < PROSE_SENTENCES + HELDOUT_SENTENCES:
        prose |= dict.fromkeys(prose_sentences(random, 1))
    return [
        Text(text=sentence, split="heldout" if number < HELDOUT_SENTENCES else "train")
        for number, sentence in enumerate(prose)
    ]
