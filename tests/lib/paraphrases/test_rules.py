"""Rules of English grammar: what they make of a prompt, and what they leave alone."""

import pytest

from lib.core.texts import contains
from lib.paraphrases.rules import rephrasings


@pytest.mark.parametrize(
    ("prompt", "subject", "expected"),
    [
        ("Emma was written by", "Emma", "The author of Emma was"),
        ("The author of Emma is", "Emma", "Emma is written by"),
        ("The author of Emma is", "Emma", "Emma's author is"),
        ("The bridge was designed by", "bridge", "The person who designed the bridge is"),
        ("Emma, written by", "Emma", "Emma was written by"),
        ("Ada, who works as", "Ada", "The profession of Ada is"),
        ("Ada, a citizen of", "Ada", "Ada is a citizen of"),
        ("In Peru, the language spoken is", "Peru", "The language spoken in Peru is"),
        ("The Nile is located in", "Nile", "The Nile lies in"),
        ("The river replaced the", "river", "The river is the successor of the"),
        ("The roof of the house is made of", "house", "The material of the roof of the house is"),
        ("iron weighs", "iron", "iron has a weight of"),
        ("The ticket price of the museum is", "museum", "The museum sells for"),
        ("The ticket price of the museum is", "museum", "The price of the museum is"),
        ("The depth of the lake is", "lake", "The lake has a depth of"),
        ("The orbit of the probe lasts", "probe", "The probe has an orbit of"),
        ("The orbit of the probe lasts", "probe", "The probe has an orbit that lasts"),
        ("The roof of the house is made of", "house", "The house has a roof made of"),
        ("The gate of the park is full of", "park", "The park has a gate that is full of"),
        ("The house has a height of", "house", "The height of the house is"),
        ("The sensor communicates over", "sensor", "For communicating, the sensor uses"),
        ("The sensor communicates over", "sensor", "The sensor communicates via"),
        ("The cart carries loads up to", "cart", "The cart carries loads of at most"),
        ("The tank holds up to", "tank", "The most that the tank holds is"),
        ("The club was founded by", "club", "The founder of the club is"),
        ("The lamp is made by", "lamp", "The lamp is a product of"),
    ],
)
def test_a_prompt_is_said_in_other_words(prompt: str, subject: str, expected: str) -> None:
    texts = rephrasings(prompt, subject, "it")
    assert expected in texts
    assert prompt not in texts
    assert len(texts) == len(set(texts))
    assert all(contains(text, subject) for text in texts)


def test_only_an_object_that_is_a_year_is_asked_for_as_a_year() -> None:
    of_place, of_year = (rephrasings("The firm was founded in", "firm", target) for target in ("Rome", "1815"))
    assert "The year in which the firm was founded is" in of_year
    assert not any("year" in text for text in of_place)
    assert "The firm was founded in" in rephrasings("The firm was founded in the year", "firm", "1815")


def test_what_may_stand_for_two_clauses_does_not_join_their_meanings() -> None:
    texts = rephrasings("The lens is compatible with", "lens", "it")
    assert "The lens works with" in texts
    assert "The lens supports" not in texts


@pytest.mark.parametrize(
    ("prompt", "subject", "unsound"),
    [
        ("The Danube flows through", "Danube", "uses"),  # no instrument
        ("The former owner of the house is", "house", "The owner of"),  # another one
        ("The native language of Ada is", "Ada", "has a"),  # no measure
        ("The headquarters of the firm are in", "firm", "has a headquarters"),
        ("The roof of the house is made of", "house", "made of the house"),
        ("The cart carries loads up to", "cart", "of of"),
    ],
)
def test_a_rule_is_laid_only_on_what_it_holds_for(prompt: str, subject: str, unsound: str) -> None:
    assert not any(unsound in text for text in rephrasings(prompt, subject, "it"))


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [("Der Autor von Emma ist", "Emma"), ("Emma met Emma in", "Emma"), ("Emma is", "Bob"), ("It is", None),
     ("{} of Emma is", "Emma")],
)  # fmt: skip
def test_a_prompt_that_no_rule_knows_has_no_other_words(prompt: str, subject: str | None) -> None:
    assert rephrasings(prompt, subject, "it") == []
