"""The almanac: real facts that a small real model partly knows; one file a relation (lib/data/almanac/).

Subjects are dealt into parts, so that no subject is in two of them: a subject's facts are edited, or asked for beside
edits (its split's neighborhood), or left to the pool. Of a relation's phrasings one is the edited prompt, some are
for evaluation, and others are for training alone.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, get_args

from lib.core.errors import InputError
from lib.core.records import Fact, LocalityPrompt, Request
from lib.core.texts import contains, fill
from lib.data.files import decoded

Split = Literal["test", "validation"]
Part = Literal["pool", "test", "test neighborhood", "validation", "validation neighborhood"]
Role = Literal["main", "evaluation", "training", "generation"]

FOLDER = Path(__file__).parent / "almanac"
LOCALITY_PROMPTS = 10
_DEALT: tuple[Part, ...] = (
    *("pool", "test", "validation", "pool", "test neighborhood"),
    *("test", "pool", "validation neighborhood", "test", "pool"),
    *("validation", "pool", "test", "pool", "test neighborhood"),
    *("pool", "validation", "test", "pool", "validation neighborhood"),
)
"""The parts that successive subjects get: of 20, 8 for the pool, 5 and 3 edited, 2 and 2 for their neighborhoods."""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One relation and the ways to say it. Each phrasing has one {} for the subject, and the object completes it."""

    name: str
    main: str
    """The edited prompt's; recall is highest in it."""
    evaluation: tuple[str, ...]
    training: tuple[str, ...]
    generation: tuple[str, ...]
    """Openings about the subject that leave open what follows."""

    @property
    def asked(self) -> tuple[str, ...]:
        """The phrasings that something is measured with."""
        return (self.main, *self.evaluation)

    @property
    def taught(self) -> tuple[str, ...]:
        """The phrasings that may be trained on."""
        return (self.main, *self.training)


@dataclass(frozen=True, kw_only=True)
class AlmanacFact:
    """One true fact: the `relation` of `subject` is `target`."""

    subject: str
    relation: Relation
    target: str

    @property
    def fact_id(self) -> str:
        """Names the fact, whatever the seed."""
        return f"{self.relation.name}/{self.subject}"


@functools.cache
def facts() -> tuple[AlmanacFact, ...]:
    """Every fact, by relation. Raises InputError, with file and line, where a file is not as `_relation` wants it."""
    return tuple(fact for path in sorted(FOLDER.glob("*.tsv")) for fact in relation_facts(path))


def relation_facts(path: Path) -> list[AlmanacFact]:
    """The facts of one file: lines of role and phrasing, an empty line, lines of subject and object, tabs between.

    Lines that begin with # are comments. Raises InputError, with file and line, where a line is not so.
    """
    phrasings: dict[str, list[str]] = {role: [] for role in get_args(Role)}
    pairs: list[tuple[str, str]] = []
    in_facts = False
    for number, line in enumerate(decoded(path).splitlines(), start=1):
        cells = line.split("\t")
        if line.startswith("#") or not line:
            in_facts = in_facts or not line
        elif len(cells) != 2 or any(cell != cell.strip() or not cell for cell in cells):
            raise InputError(f"{path}:{number}: wanted two cells with a tab between them; found {line!r}")
        elif in_facts:
            pairs.append((cells[0], cells[1]))
        elif cells[0] not in phrasings or cells[1].count("{}") != 1:
            expected = f"one of {', '.join(phrasings)}, and a phrasing with one {{}}"
            raise InputError(f"{path}:{number}: wanted {expected}; found {line!r}")
        else:
            phrasings[cells[0]].append(cells[1])
    relation = _relation(path, phrasings)
    return [AlmanacFact(subject=subject, relation=relation, target=target) for subject, target in pairs]


def _relation(path: Path, phrasings: dict[str, list[str]]) -> Relation:
    if len(phrasings["main"]) != 1:
        raise InputError(f"{path}: wanted one phrasing with the role main; found {len(phrasings['main'])}")
    return Relation(
        name=path.stem,
        main=phrasings["main"][0],
        evaluation=tuple(phrasings["evaluation"]),
        training=tuple(phrasings["training"]),
        generation=tuple(phrasings["generation"]),
    )


def parts(seed: int) -> dict[str, Part]:
    """Which part each subject is in, with all its facts. Subjects of the same relations are dealt in turn, so that
    every relation has its share of every part."""
    relations: dict[str, tuple[str, ...]] = {}
    for fact in facts():
        relations[fact.subject] = (*relations.get(fact.subject, ()), fact.relation.name)
    by_relations: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for subject, names in relations.items():
        by_relations[names].append(subject)
    random = Random(f"{seed}/almanac/parts")
    dealt = [
        subject
        for names in sorted(by_relations)
        for subject in random.sample(by_relations[names], len(by_relations[names]))
    ]
    return {subject: _DEALT[number % len(_DEALT)] for number, subject in enumerate(dealt)}


def requests(split: Split, seed: int) -> list[Request]:
    """A counterfactual edit of every fact of the split that is not its neighborhood, in random order."""
    part_of = parts(seed)
    nearby: dict[str, list[AlmanacFact]] = defaultdict(list)
    for fact in facts():
        if part_of[fact.subject] == f"{split} neighborhood":
            nearby[fact.relation.name].append(fact)
    edited = [fact for fact in facts() if part_of[fact.subject] == split]
    shuffled = Random(f"{seed}/almanac/order").sample(edited, len(edited))
    return [_request(fact, nearby[fact.relation.name], seed) for fact in shuffled]


def _request(fact: AlmanacFact, nearby: Sequence[AlmanacFact], seed: int) -> Request:
    random = Random(f"{seed}/almanac/{fact.fact_id}")  # of its own: what is drawn does not depend on other edits
    relation = fact.relation
    prompt = fill(relation.main, fact.subject)
    paraphrases = [fill(phrasing, fact.subject) for phrasing in relation.evaluation]
    target_new = random.choice(
        [
            target
            for target in _objects()[relation.name]
            if target != fact.target
            and not any(contains(text, target) for text in (prompt, *paraphrases))
            and len(_usable(target, nearby)) * len(relation.asked) >= LOCALITY_PROMPTS
        ]
    )
    return Request(
        request_id=fact.fact_id,
        dataset="almanac",
        subject=fact.subject,
        relation=relation.name,
        prompt=prompt,
        template=relation.main,
        target_new=target_new,
        target_true=fact.target,
        paraphrases=tuple(paraphrases),
        train_paraphrases=tuple(fill(phrasing, fact.subject) for phrasing in relation.training),
        locality=_locality(fact, target_new, nearby, random),
        generation_prompts=(*(fill(phrasing, fact.subject) for phrasing in relation.generation), prompt),
        references=_references(target_new),
    )


def _locality(
    fact: AlmanacFact, target_new: str, nearby: Sequence[AlmanacFact], random: Random
) -> tuple[LocalityPrompt, ...]:
    """Prompts about other subjects of the relation, first those that share the true object, with their own objects.

    None of them has the new object, so that the edited and the true answer differ on each.
    """
    usable = _usable(target_new, nearby)
    ordered = sorted(random.sample(usable, len(usable)), key=lambda candidate: candidate.target != fact.target)
    templates = fact.relation.asked
    prompts = [
        LocalityPrompt(
            prompt=fill(templates[(number + turn) % len(templates)], neighbor.subject), target=neighbor.target
        )
        for turn in range(len(templates))
        for number, neighbor in enumerate(ordered)
    ]
    return tuple(prompts[:LOCALITY_PROMPTS])


def _usable(target_new: str, nearby: Sequence[AlmanacFact]) -> list[AlmanacFact]:
    return [candidate for candidate in nearby if candidate.target != target_new]


@functools.cache
def _objects() -> dict[str, tuple[str, ...]]:
    """The different objects of each relation, sorted."""
    objects: dict[str, set[str]] = defaultdict(set)
    for fact in facts():
        objects[fact.relation.name].add(fact.target)
    return {name: tuple(sorted(targets)) for name, targets in objects.items()}


@functools.cache
def _references(target: str) -> tuple[str, ...]:
    """What the almanac says of others with this object: the texts for the consistency metric, one for each fact."""
    return tuple(
        " ".join(f"{fill(phrasing, fact.subject)} {fact.target}." for phrasing in _statements(fact.relation))
        for fact in facts()
        if fact.target == target
    )


def _statements(relation: Relation) -> list[str]:
    return [phrasing for phrasing in relation.taught if "?" not in phrasing]


def pool(seed: int, edited: bool) -> list[Fact]:
    """Facts to learn from, each in the main phrasing and in one of the training phrasings, which are dealt evenly.

    Where something is `edited` they are those of the pool's part; where nothing is, all facts of the almanac.
    """
    part_of = parts(seed)
    rows = []
    for number, fact in enumerate(fact for fact in facts() if not edited or part_of[fact.subject] == "pool"):
        taught = fact.relation.taught
        for phrasing in (0, 1 + number % len(fact.relation.training)):
            rows.append(
                Fact(
                    fact_id=f"{fact.fact_id}/{phrasing}",
                    subject=fact.subject,
                    relation=fact.relation.name,
                    prompt=fill(taught[phrasing], fact.subject),
                    target=fact.target,
                    template=taught[phrasing],
                )
            )
    return rows
