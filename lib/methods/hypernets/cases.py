"""What a hyper-network is trained on: facts of the pool, turned into edits with a target that is not theirs."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from transformers import PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Fact
from lib.core.texts import normalize
from lib.models.packing import Item
from lib.models.tokens import encode

_Key = tuple[str | None, str | None, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingCase:
    """One edit to learn from, as token ids."""

    edit: Item
    """Prompt and counterfactual target."""
    rephrased: Item
    """Another phrasing of the same fact with that target, or the edit itself where the pool has none."""
    locality: tuple[Item, ...]
    """Facts about other subjects, with their own targets."""

    @property
    def items(self) -> tuple[Item, ...]:
        """All of them: the edit, its other phrasing, the rest."""
        return self.edit, self.rephrased, *self.locality

    @property
    def length(self) -> int:
        """Tokens that the case takes in a row."""
        return sum(item.length for item in self.items)


class CaseSource:
    """Facts from which cases are drawn, sorted by what they say and by relation."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.facts = facts
        self._phrasings: dict[_Key, list[Fact]] = {}
        self._of_relation: dict[str | None, list[Fact]] = {}
        self._targets: dict[str | None, list[str]] = {}
        for fact in facts:
            self._phrasings.setdefault(_key(fact), []).append(fact)
            self._of_relation.setdefault(fact.relation, []).append(fact)
        for relation, members in self._of_relation.items():
            self._targets[relation] = sorted({fact.target for fact in members})
        self._all_targets = sorted({fact.target for fact in facts})

    def draw(self, tokenizer: PreTrainedTokenizerBase, random: Random, locality: int) -> TrainingCase:
        """A random case with `locality` facts beside it.

        What the dataset says of a fact (another object, other phrasings, what to leave alone) is taken first. Else the
        new target is another object of the relation, or of the whole pool where the relation has only one; another
        phrasing is another fact of the pool that says the same; and all but the last of what is left alone is of the
        edit's relation.
        """
        fact = random.choice(self.facts)
        new = fact.target_new or random.choice(self._rivals(fact))
        phrasings = [same.prompt for same in self._phrasings[_key(fact)] if same.prompt != fact.prompt]
        rephrased = random.choice(fact.paraphrases or phrasings or [fact.prompt])
        own = random.sample(fact.locality, min(locality, len(fact.locality)))
        beside = [
            self._beside(fact, self._of_relation[fact.relation] if index < locality - 1 else self.facts, random)
            for index in range(len(own), locality)
        ]
        left_alone = [*((statement.prompt, statement.target) for statement in own)]
        left_alone += [(other_fact.prompt, other_fact.target) for other_fact in beside]
        prompts = [fact.prompt, rephrased, *(prompt for prompt, _ in left_alone)]
        items = encode(tokenizer, prompts, [(new,), (new,), *((target,) for _, target in left_alone)])
        return TrainingCase(edit=items[0], rephrased=items[1], locality=tuple(items[2:]))

    def _rivals(self, fact: Fact) -> list[str]:
        """Objects of the relation that are not the fact's; where there is none, of the whole pool."""
        return next(
            rivals
            for targets in (self._targets[fact.relation], self._all_targets)
            if (rivals := [target for target in targets if normalize(target) != normalize(fact.target)])
        )

    def _beside(self, fact: Fact, among: Sequence[Fact], random: Random) -> Fact:
        """A fact that says something else; of another subject where chance gives one in a few tries."""
        for _ in range(10):
            candidate = random.choice(among)
            if candidate.subject != fact.subject or (candidate.subject is None and candidate.prompt != fact.prompt):
                return candidate
        return next(candidate for candidate in self.facts if candidate.target != fact.target)


def split(pool: Sequence[Fact], share: float, seed: int) -> tuple[list[Fact], list[Fact]]:
    """Facts to train on, and `share` of them to validate on; all phrasings of a fact are on one side.

    Raises InputError where a side would have fewer than two different targets.
    """
    keys = sorted({_key(fact) for fact in pool}, key=str)
    held = set(Random(seed).sample(keys, round(len(keys) * share)))
    train = [fact for fact in pool if _key(fact) not in held]
    validation = [fact for fact in pool if _key(fact) in held]
    if any(len({normalize(fact.target) for fact in side}) < 2 for side in (train, validation)):
        raise InputError(
            f"hypernet: wanted facts with at least two different targets to train on and to validate on; the pool "
            f"gives {len(train)} and {len(validation)} facts. Use a dataset with a larger pool"
        )
    return train, validation


def _key(fact: Fact) -> _Key:
    """What a fact says, whatever its words; one without a named subject and relation is its prompt."""
    named = fact.subject is not None and fact.relation is not None
    return (fact.subject, fact.relation, fact.target) if named else (None, fact.prompt, fact.target)
