"""Edits to learn from are made of pool facts: other targets of the relation, other phrasings, other subjects."""

from random import Random

import pytest

from lib.core.records import Fact, LocalityPrompt
from lib.methods.hypernets.cases import CaseSource, TrainingCase, split
from tests.helpers.models import byte_tokenizer

HOMES = {"Dan": "Riga", "Eva": "Oslo", "Fay": "Bern", "Gus": "Oslo"}
POOL = [
    Fact(fact_id=f"{name}/{template}", subject=name, relation="home", prompt=template.replace("{}", name), target=home)
    for name, home in HOMES.items()
    for template in ("{} lives in", "the home of {} is")
] + [Fact(fact_id="sky", subject=None, relation=None, prompt="The sky is", target="blue")]


def text(ids: tuple[int, ...]) -> str:
    return str(byte_tokenizer().decode(ids))


def drawn(facts: list[Fact], seed: int) -> TrainingCase:
    return CaseSource(facts).draw(byte_tokenizer(), Random(seed), 3)


@pytest.mark.parametrize("seed", range(30))
def test_a_case_is_another_target_another_phrasing_and_other_subjects(seed: int) -> None:
    case = drawn(POOL, seed)
    prompt, new = text(case.edit.prompt), text(case.edit.targets[0]).strip()
    fact = next(pool_fact for pool_fact in POOL if pool_fact.prompt == prompt)
    assert new != fact.target
    assert new in HOMES.values() if fact.relation else True
    assert case.rephrased.targets == case.edit.targets
    assert (text(case.rephrased.prompt) == prompt) == (fact.relation is None)
    assert str(fact.subject or "sky") in text(case.rephrased.prompt)
    for number, item in enumerate(case.locality):
        beside = next(pool_fact for pool_fact in POOL if pool_fact.prompt == text(item.prompt))
        assert text(item.targets[0]).strip() == beside.target
        assert beside.subject != fact.subject or beside.prompt != prompt
        if fact.relation and number < 2:
            assert (beside.relation, beside.subject != fact.subject) == ("home", True)


def test_a_relation_with_one_object_takes_a_target_of_another() -> None:
    facts = [fact for fact in POOL if fact.subject in ("Eva", "Gus", None)]
    assert {text(drawn(facts, seed).edit.targets[0]).strip() for seed in range(20)} == {"blue", "Oslo"}


def test_all_phrasings_of_a_fact_are_on_one_side_of_the_split() -> None:
    train, validation = split(POOL, 0.4, seed=0)
    assert len(train) + len(validation) == len(POOL)
    assert not {fact.subject for fact in train} & {fact.subject for fact in validation}
    assert split(POOL, 0.4, seed=0) == (train, validation)


def test_a_pool_without_two_targets_on_a_side_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two different targets"):
        split(POOL, 0.01, seed=0)
    with pytest.raises(ValueError, match="0 and 0 facts"):
        split([], 0.5, seed=0)


def test_what_the_dataset_says_of_a_fact_is_taken_first() -> None:
    """The fault: ZsRE's records have another phrasing, another object and a question to leave alone; none was used."""
    ida = Fact(
        fact_id="0", subject="Ida", relation=None, prompt="Where does Ida live?", target="Rome",
        paraphrases=("Ida's home is where?",), target_new="Lima",
        locality=(LocalityPrompt(prompt="nq question: who wrote it?", target="Bo"),),
    )  # fmt: skip
    cases = [drawn([ida, *POOL], seed) for seed in range(60)]
    case = next(case for case in cases if text(case.edit.prompt) == ida.prompt)
    assert text(case.rephrased.prompt) == "Ida's home is where?"
    assert [text(item.targets[0]).strip() for item in (case.edit, case.rephrased)] == ["Lima", "Lima"]
    assert text(case.locality[0].prompt) == "nq question: who wrote it?"
    assert len(case.locality) == 3
