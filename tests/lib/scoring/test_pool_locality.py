"""Locality prompts that stage recall takes from the pool: about an edit's own subject, and about others."""

from dataclasses import replace
from typing import Any

import pytest

from lib.core.records import Fact, LocalityPrompt, Request
from lib.scoring.pool_locality import about_own_subject, with_pool_locality

FRANCE = [
    Fact(fact_id="language", subject="France", relation="language", prompt="The main language spoken in France is",
         target="French"),
    Fact(fact_id="official", subject="France", relation="language", prompt="The official language of France is",
         target="French"),
    Fact(fact_id="continent", subject="France", relation="continent", prompt="France lies on the continent of",
         target="Europe"),
    Fact(fact_id="capital", subject="France", relation="capital", prompt="The capital of France is", target="Paris"),
    Fact(fact_id="money", subject="France", relation="currency", prompt="The currency used in France is the",
         target="euro"),
]  # fmt: skip
ELSEWHERE = [
    Fact(
        fact_id=f"town/{n}", subject=f"Town{n}", relation="mayor", prompt=f"The mayor of Town{n} is", target=f"Name{n}"
    )
    for n in range(24)
]


def edit(request_id: str = "a", **fields: Any) -> Request:
    """An edit of the town hall's place."""
    request = Request(
        request_id=request_id, dataset="own", subject="France", relation=None, template=None,
        prompt="The town hall of France stands in", target_new="Lyon", target_true=None,
    )  # fmt: skip
    return replace(request, **fields)


def drawn(requests: list[Request], pool: list[Fact] = FRANCE + ELSEWHERE, count: int = 2) -> list[list[str]]:
    """The prompts of each request, sorted."""
    completed = with_pool_locality(requests, pool, count, seed=0)
    return [sorted(locality.prompt for locality in request.locality) for request in completed]


def of_france(prompts: list[str]) -> list[str]:
    return [prompt for prompt in prompts if "France" in prompt]


def test_an_edit_has_known_facts_about_its_own_subject_beside_those_about_others_one_of_a_relation() -> None:
    [prompts] = drawn([edit()])
    assert len(prompts) == 4
    own = of_france(prompts)
    assert len(own) == 2
    relations = {fact.prompt: fact.relation for fact in FRANCE}
    assert len({relations[prompt] for prompt in own}) == 2
    assert drawn([edit()]) == [prompts]


def test_half_of_what_is_known_about_a_subject_is_left_to_train_on() -> None:
    [prompts] = drawn([edit()], count=9)
    assert len(of_france(prompts)) == 2  # of four relations
    [prompts] = drawn([edit()], pool=FRANCE[:3] + ELSEWHERE)
    assert len(of_france(prompts)) == 1  # of two
    [prompts] = drawn([edit()], pool=FRANCE[:1] + ELSEWHERE)
    assert of_france(prompts) == [FRANCE[0].prompt]  # of one: what is not asked cannot be seen to change


@pytest.mark.parametrize(
    ("fields", "never"),
    [
        ({"prompt": "The capital city of France is called"}, {"The capital of France is"}),  # a word of its prompt
        ({"paraphrases": ("The seat of France, its capital, is",)}, {"The capital of France is"}),
        ({"train_paraphrases": ("France's capital is",)}, {"The capital of France is"}),
        ({"relation": "capital"}, {"The capital of France is"}),
        ({"target_true": "paris"}, {"The capital of France is"}),  # the answer that is replaced
        ({"target_new": "Europe"}, {"France lies on the continent of"}),
        ({"prompt": "The languages of France are"}, {FRANCE[0].prompt, FRANCE[1].prompt}),  # in the plural
        ({"prompt": "The capital of France is"}, {"The capital of France is"}),
    ],
)
def test_no_fact_that_may_say_what_is_edited_is_taken(fields: dict[str, Any], never: set[str]) -> None:
    pool = [fact for fact in FRANCE if fact.prompt in never] + ELSEWHERE
    assert of_france(drawn([edit(**fields)], pool=pool)[0]) == []
    assert of_france(drawn([edit()], pool=pool)[0])  # another edit takes it


def test_edits_of_one_subject_share_its_facts_and_none_is_taken_that_one_of_them_may_say() -> None:
    first, second = drawn([edit(), edit("b", prompt="The euro came to France in", target_new="1999")])
    assert len(of_france(first)) == 2
    assert not set(first) & set(second)
    sharing = drawn([edit(), edit("b", prompt="The currency of France was once", target_new="franc")])
    assert "The currency used in France is the" not in {prompt for prompts in sharing for prompt in prompts}


def test_an_article_makes_no_other_subject() -> None:
    pool = [replace(FRANCE[0], subject="the France of old", prompt="The main language of the France of old is")]
    request = edit(subject="France of old", prompt="A town hall of the France of old is in")
    assert drawn([request], pool=pool + ELSEWHERE)[0][0] == pool[0].prompt


def test_edits_added_at_the_end_leave_the_draws_of_others_as_they_are() -> None:
    town = edit("c", subject="Italy", prompt="The town hall of Italy stands in", target_new="Pisa")
    assert drawn([edit(), town])[0] == drawn([edit()])[0]


def test_an_edit_with_locality_prompts_or_without_a_subject_has_none_about_its_own() -> None:
    of_file = (LocalityPrompt(prompt="The Loire is a", target="river"),)
    assert drawn([edit(locality=of_file)]) == [["The Loire is a"]]
    [prompts] = drawn([edit(subject=None)])
    assert len(prompts) == 2
    assert not of_france(prompts)
    assert drawn([edit()], count=0) == [[]]


def test_prompts_about_an_edits_own_subject_are_counted_whoever_gave_them() -> None:
    of_file = (
        LocalityPrompt(prompt="France is in", target="Europe"),
        LocalityPrompt(prompt="Rome is in", target="Italy"),
    )
    assert about_own_subject([edit(locality=of_file), edit("b", subject=None, locality=of_file)]) == 1
    assert about_own_subject(with_pool_locality([edit()], FRANCE + ELSEWHERE, 2, seed=0)) == 2
