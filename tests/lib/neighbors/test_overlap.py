"""No fact passes the overlap filter that gives an evaluation answer away, repeats a prompt or contradicts an edit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.core import tables
from lib.core.inflection import comparable
from lib.core.records import Fact, LocalityPrompt, Request
from lib.core.tables import write
from lib.core.texts import contains, normalize
from lib.data import world
from lib.neighbors.encoders import encoder
from lib.neighbors.overlap import usable_facts, without_overlap
from tests.helpers.pools import at_random, kept, pool_of, similar

SPELLINGS = ("a", "A", "a,", "b", "ß", "SS", "\N{LATIN SMALL LIGATURE FI}", "fi", "é", "e\N{COMBINING ACUTE ACCENT}")
WORDS = st.sampled_from(SPELLINGS[:4]) | st.sampled_from((*SPELLINGS, "!", "_", ""))
TEXTS = st.builds(str.join, st.sampled_from([" ", ", ", "-", "  "]), st.lists(WORDS, max_size=5))
NAMES = st.sampled_from([None, "a", "A,", "a b", "ss", "ß", "!"])
TARGETS = st.sampled_from(["a", "A.", "b", "ß", "SS", "!", ""])
RELATIONS = st.sampled_from([None, "r", "s"])
LOCALITY = st.builds(LocalityPrompt, prompt=TEXTS, target=TARGETS)
REQUESTS = st.builds(
    Request,
    request_id=st.just("edit"),
    dataset=st.just("test"),
    subject=NAMES,
    relation=RELATIONS,
    prompt=TEXTS,
    template=st.none(),
    target_new=TARGETS,
    target_true=st.none() | TARGETS,
    paraphrases=st.lists(TEXTS, max_size=2).map(tuple),
    locality=st.lists(LOCALITY, max_size=2).map(tuple),
)
FACTS = st.builds(
    Fact,
    fact_id=st.uuids().map(str),
    subject=NAMES,
    relation=RELATIONS,
    prompt=TEXTS | st.sampled_from(["x", "a x b", ""]),  # otherwise nearly every one overlaps
    target=TARGETS,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(REQUESTS, max_size=3), st.lists(FACTS, max_size=7))
@pytest.mark.slow
def test_the_filter_keeps_and_counts_what_comparing_every_fact_with_every_edit_does(
    requests: list[Request], facts: list[Fact]
) -> None:
    reasons = [_reason(fact, requests) for fact in facts]
    with patch.object(tables, "_STREAMED_ROWS", 3), pool_of(facts) as pool:
        filtered = without_overlap(requests, pool)
    assert filtered.rows.tolist() == [row for row, reason in enumerate(reasons) if reason is None]
    assert +Counter(filtered.dropped) == Counter(reason for reason in reasons if reason)


@settings(max_examples=50, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=3), st.data())
def test_a_fact_made_of_an_evaluation_prompt_never_passes(requests: list[Request], data: st.DataObject) -> None:
    request = data.draw(st.sampled_from(requests))
    prompt = data.draw(st.sampled_from(request.evaluation_prompts).filter(normalize))
    before, after = data.draw(st.sampled_from(["", "So, "])), data.draw(st.sampled_from(["", " the", "!"]))
    fact = _fact(subject=data.draw(NAMES), prompt=f"{before}{prompt.upper()}{after}", target=data.draw(TARGETS))
    assert kept(requests, [fact]) == []


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ({"subject": "ada king", "prompt": "Who was she?", "target": "rome"}, "triple"),  # the edit itself
        ({"subject": "Ada King", "prompt": "Who was she?", "target": "London."}, "triple"),  # what the edit replaces
        ({"subject": "Bo Li", "prompt": "Who was he?", "target": "Oslo"}, "triple"),  # a locality prompt's own answer
        ({"subject": "Bo Li", "prompt": "Who was he?", "target": "Rome"}, "triple"),  # the answer it must not get
        ({"subject": None, "prompt": "ADA KING was born, in"}, "prompt"),
        ({"subject": None, "prompt": "They say Ada King was born in the city"}, "prompt"),
        ({"subject": None, "prompt": "cradle of Ada"}, "prompt"),
        ({"subject": "Ada King", "relation": "birthplace", "target": "Bonn"}, "contradiction"),
        ({"subject": "ADA KING", "relation": None, "target": "london", "prompt": "x"}, "triple"),
    ],
)
def test_each_kind_of_overlap_is_dropped_for_its_reason(fact: dict[str, str | None], reason: str) -> None:
    with pool_of([_fact(**fact)]) as pool:
        filtered = without_overlap([_request()], pool)
    assert filtered.rows.tolist() == []
    assert {name for name, number in filtered.dropped.items() if number} == {reason}


@pytest.mark.parametrize(
    "fact",
    [
        {"subject": "Ada King", "relation": "profession", "target": "painter"},  # another relation
        {"subject": "Ada", "relation": "birthplace", "target": "Bonn"},  # another person
        {"subject": "Ada King", "relation": None, "target": "Bonn"},  # no sign of the same relation
        {"subject": "da Ki", "target": "Rome"},  # letters within words
        {"subject": "Eve Low", "target": "Rome"},  # an answer alone
        {"subject": "?!", "prompt": "...", "target": "Rome"},  # no words to compare
    ],
)
def test_a_fact_that_only_resembles_an_edit_is_kept(fact: dict[str, str | None]) -> None:
    assert kept([_request()], [_fact(**fact)]) == [_fact(**fact)]


@pytest.mark.parametrize(("of_edit", "of_fact"), [(None, "birthplace"), ("birthplace", None), (None, None)])
def test_where_a_relation_is_not_named_the_replaced_target_tells_it(of_edit: str | None, of_fact: str | None) -> None:
    request = _request(prompt="She was born in", paraphrases=(), relation=of_edit)
    contradicting, harmless = (
        _fact(subject="Ada King", relation=of_fact, target=target) for target in ("London", "Bonn")
    )
    with pool_of([contradicting, harmless]) as pool:
        filtered = without_overlap([request], pool)
    assert filtered.rows.tolist() == [1]
    assert filtered.dropped == {"triple": 0, "prompt": 0, "contradiction": 1}


def test_without_edits_or_facts_there_is_nothing_to_drop() -> None:
    assert kept([], [_fact()]) == [_fact()]
    assert kept([_request()], []) == []
    with pool_of([]) as pool:
        assert without_overlap([_request()], pool).dropped == {"triple": 0, "prompt": 0, "contradiction": 0}


@pytest.mark.parametrize("kind", ["random", "similar"])
def test_no_neighbor_of_the_embedded_world_leaks(kind: str) -> None:
    embedded = world.make_world(0)
    requests = world.requests(embedded, "test", 0)
    pool = [*world.pool(embedded)[::6], *_stated(embedded, "test")]
    usable = kept(requests, pool)
    neighbors = (
        at_random(requests, usable, 1, 0)
        if kind == "random"
        else similar(requests, usable, 1, encoder("hashing", "cpu"))
    )
    by_id = {fact.fact_id: fact for fact in pool}
    neighbor_ids = {neighbor.fact_id for neighbor in neighbors}
    assert len(neighbor_ids) > 20
    assert [fact_id for fact_id in neighbor_ids if _reason(by_id[fact_id], requests)] == []


def _stated(embedded: world.World, split: str) -> list[Fact]:
    """The true facts of the edited subjects and of their neighborhood, most of which leak."""
    return [
        _fact(
            fact_id=f"{fact.relation.name}/{fact.subject}/leak",
            subject=fact.subject,
            relation=fact.relation.name,
            prompt=fact.prompt(0),
            target=fact.target,
        )
        for fact in embedded.facts
        if fact.split == split
    ]


def _reason(fact: Fact, requests: Sequence[Request]) -> str | None:
    """The first reason to drop a fact, found by comparing it with every edit."""
    tests = {"triple": _gives_away, "prompt": _repeats, "contradiction": _contradicts}
    return next((name for name, holds in tests.items() if any(holds(fact, request) for request in requests)), None)


def _gives_away(fact: Fact, request: Request) -> bool:
    own = [request.target_new] if request.target_true is None else [request.target_new, request.target_true]
    questions = [(prompt, own) for prompt in (request.prompt, *request.paraphrases)]
    questions += [(locality.prompt, [locality.target, request.target_new]) for locality in request.locality]
    return any(
        contains(prompt, fact.subject or "") and normalize(fact.target) in map(normalize, answers)
        for prompt, answers in questions
    )


def _repeats(fact: Fact, request: Request) -> bool:
    return any(contains(fact.prompt, prompt) or contains(prompt, fact.prompt) for prompt in request.evaluation_prompts)


def _contradicts(fact: Fact, request: Request) -> bool:
    if not normalize(fact.subject or "") or normalize(fact.subject or "") != normalize(request.subject or ""):
        return False
    if fact.relation is not None and request.relation is not None:
        return fact.relation == request.relation
    return bool(normalize(request.target_true or "")) and normalize(fact.target) == normalize(request.target_true or "")


def _request(**changed: object) -> Request:
    values: dict[str, object] = {
        "request_id": "1",
        "dataset": "test",
        "subject": "Ada King",
        "relation": "birthplace",
        "prompt": "Ada King was born in",
        "template": None,
        "target_new": "Rome",
        "target_true": "London",
        "paraphrases": ("Rain fell. The cradle of Ada King stood in",),
        "locality": (LocalityPrompt(prompt="Bo Li was born in", target="Oslo"),),
    }
    return Request(**{**values, **changed})  # type: ignore[arg-type]


def _fact(**changed: str | None) -> Fact:
    values = {"fact_id": "f", "subject": "Cy Fox", "relation": "profession", "prompt": "By trade a", "target": "baker"}
    return Fact(**{**values, **changed})  # type: ignore[arg-type]


def test_of_a_usable_fact_the_prompts_that_an_edit_is_scored_on_are_left_out(tmp_path: Path) -> None:
    request = Request(
        request_id="1", dataset="own", subject="Ada", relation=None, prompt="Ada is in", template=None,
        target_new="Rome", target_true=None, paraphrases=("Where is Ada?",),
        locality=(LocalityPrompt(prompt="nq question: who?", target="Bo"),),
    )  # fmt: skip
    scored, unscored = (LocalityPrompt(prompt=prompt, target="Bo") for prompt in ("NQ question: who?", "why?"))
    fact = replace(_fact(), paraphrases=("where is Ada", "His trade?"), locality=(scored, unscored))
    write(tmp_path / "requests.parquet", Request, [request])
    write(tmp_path / "pool.parquet", Fact, [fact])
    facts, dropped = usable_facts(tmp_path / "pool.parquet", tmp_path / "requests.parquet")
    assert (facts, dropped) == ([replace(fact, paraphrases=("His trade?",), locality=(unscored,))], 0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Which nations border the Alps?", "which nation border the Alps"),
        ("the cities of Wales", "the city of Wale"),
        ("Marie Curie's birthplace", "Marie Curie\u2019s birthplaces"),
        ("жил в Москве", "жил в Москвой"),
        ("η Αθήνα", "η Αθήνας"),
    ],
)
def test_texts_that_differ_in_number_or_case_alone_are_compared_as_the_same(first: str, second: str) -> None:
    """The fault: a name in its plural, or in another case, was another name, and its fact was trained on."""
    assert comparable(first) == comparable(second)


def test_other_words_stay_other_words() -> None:
    pairs = [
        ("Paris", "Pari"),
        ("Mars", "Mar"),
        ("class", "clas"),
        ("campus", "campu"),
        ("Иванов", "Иван"),
        ("yes", "ye"),
    ]
    assert all(comparable(first) != comparable(second) for first, second in pairs)


def test_a_fact_that_names_the_subject_in_another_number_is_left_out() -> None:
    prompt = "Which city do the Beatles come from? From"
    edit = _request(subject="the Beatles", prompt=prompt, target_true="Liverpool", paraphrases=(), locality=())
    fact = Fact(fact_id="f", subject="Beatle", relation=None, prompt="A Beatle is at home in", target="Liverpool")
    with pool_of([fact]) as pool:
        assert without_overlap([edit], pool).dropped == {"triple": 1, "prompt": 0, "contradiction": 0}
