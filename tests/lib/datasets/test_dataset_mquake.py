"""MQuAKE: every edit of a case is a request, its questions belong to the last, other cases may not spoil a chain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.implied import ImpliedQuestion
from lib.core.params import Facts, Own
from lib.datasets import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("mquake", "success")


def rewrite(subject: str, new: str, true: str) -> dict[str, Any]:
    return {
        "prompt": "{} is a citizen of",
        "relation_id": "P27",
        "target_new": {"str": new, "id": f"Q-{new}"},
        "target_true": {"str": true, "id": f"Q-{true}"},
        "subject": subject,
        "question": f"Where is {subject} from?",
    }


def hop(question: str, cloze: str, answer: str, *aliases: str) -> dict[str, Any]:
    return {"question": question, "cloze": cloze, "answer": answer, "answer_alias": [*aliases]}


def case(case_id: int, subject: str, new: str, head: str, *more: dict[str, Any]) -> dict[str, Any]:
    edits = [["S" + subject, "P27", "Q-" + new]]
    chain = [*edits, ["Q-" + new, "P35", "Q-" + head]]
    return {
        "case_id": case_id,
        "requested_rewrite": [rewrite(subject, new, "Norway"), *more],
        "questions": [f"Who leads {subject}'s country?", f"Who is the head of {subject}'s state?"],
        "answer": "Old Head",
        "new_answer": head,
        "new_answer_alias": [head[:3], head],
        "new_single_hops": [
            hop(f"Where is {subject} from?", f"{subject} is a citizen of", new),
            hop(f"Who leads {new}?", f"The head of {new} is", head, head[:3]),
        ],
        "orig": {"new_triples": chain, "edit_triples": edits},
    }


@pytest.fixture
def loaded(as_json: Callable[..., Path], facts: Facts, own: Own) -> Callable[..., Any]:
    def read(*records: Any, limit: int | None = None) -> Any:
        files = {"facts": as_json([*records])}
        return load("mquake", files, facts.model_copy(update={"limit": limit}), PRESET, own)

    return read


def test_a_case_is_an_edit_with_its_question_as_paraphrase_and_what_it_implies(loaded: Callable[..., Any]) -> None:
    (request,) = loaded(case(7, "Ada", "Peru", "Maria")).requests
    assert (request.request_id, request.prompt, request.template) == ("7", "Ada is a citizen of", "{} is a citizen of")
    assert (request.target_new, request.target_true, request.relation) == ("Peru", "Norway", "P27")
    assert request.paraphrases == ("Where is Ada from?",)
    assert request.implied == (
        ImpliedQuestion(
            kind="two_hops", prompt="Who leads Ada's country?", answers=("Maria", "Mar"), earlier="Old Head"
        ),
        ImpliedQuestion(
            kind="two_hops", prompt="Who is the head of Ada's state?", answers=("Maria", "Mar"), earlier="Old Head"
        ),
        ImpliedQuestion(kind="one_hop", prompt="Who leads Peru?", answers=("Maria", "Mar")),
    )


def test_the_questions_of_a_case_belong_to_the_last_of_its_edits(loaded: Callable[..., Any]) -> None:
    first, last = loaded(case(7, "Ada", "Peru", "Maria", rewrite("Bo", "Chile", "Oman"))).requests
    assert (first.request_id, last.request_id) == ("7.1", "7.2")
    assert not first.implied
    assert len(last.implied) == 3


def test_an_edit_of_two_cases_is_made_once_and_has_the_questions_of_both(loaded: Callable[..., Any]) -> None:
    (request,) = loaded(
        case(1, "Ada", "Peru", "Maria"), {**case(2, "Ada", "Peru", "Maria"), "questions": ["Who?"]}
    ).requests
    assert [question.prompt for question in request.implied if question.kind == "two_hops"][-1] == "Who?"
    assert len(request.implied) == 4


def test_questions_over_a_fact_that_another_case_edits_are_left_out_and_noted(loaded: Callable[..., Any]) -> None:
    spoiling = case(2, "Bo", "Chile", "Juan")
    spoiling["orig"]["edit_triples"].append(["Q-Peru", "P35", "Q-Zoe"])
    read = loaded(case(1, "Ada", "Peru", "Maria"), spoiling)
    assert [len(request.implied) for request in read.requests] == [0, 3]
    assert any("questions of 1 cases left out" in note for note in read.notes_of["facts.json"])


def test_the_pool_is_the_true_facts_of_the_other_cases_that_are_not_edited(loaded: Callable[..., Any]) -> None:
    cases = [case(1, "Ada", "Peru", "Maria"), case(2, "Ada", "Peru", "Maria"), case(3, "Bo", "Chile", "Juan")]
    (fact,) = loaded(*cases, limit=1).pool
    assert (fact.prompt, fact.target, fact.target_new) == ("Bo is a citizen of", "Norway", "Chile")


def test_a_case_id_with_a_point_is_a_case_of_its_own_and_no_edit_of_another(loaded: Callable[..., Any]) -> None:
    """The fault: the edit of case 1.5 was told as of case 1's line, or, without a case 1, ended with a traceback."""
    data = loaded(case(1, "Ada", "Peru", "Maria"), {**case(2, "Ben", "Chad", "Ali"), "case_id": 1.5})
    assert {request_id: line for request_id, (_, line) in data.lines.items()} == {"1": 1, "1.5": 2}
    assert [request.request_id for request in loaded({**case(2, "Ben", "Chad", "Ali"), "case_id": 7.5}).requests] == [
        "7.5"
    ]
    several = case(1, "Ada", "Peru", "Maria", rewrite("Eve", "Chad", "Norway"))
    data = loaded(several, {**case(2, "Ben", "Chad", "Ali"), "case_id": 1.1})
    assert [request.request_id for request in data.requests] == ["1.1", "1.2"]
    assert [(reject.line, reject.field) for reject in data.rejects] == [(2, "case_id")]


@pytest.mark.parametrize(
    ("spoiled", "field"),
    [
        ({"case_id": 1}, "case_id"),
        ({"requested_rewrite": {"prompt": "{} is"}}, "requested_rewrite"),
        ({"requested_rewrite": []}, "requested_rewrite"),
        ({"questions": []}, None),
        ({"new_answer": "Maria", "questions": "Who?"}, "questions"),
        ({"orig": {"new_triples": 5}}, "orig.new_triples"),
        ({"orig": {"edit_triples": [["Q1", "P27"]]}}, "orig.edit_triples"),
        ({"orig": {"edit_triples": None}}, None),
    ],
)
def test_a_malformed_case_is_a_reject_with_its_field(
    spoiled: dict[str, Any], field: str | None, loaded: Callable[..., Any]
) -> None:
    read = loaded(case(1, "Ada", "Peru", "Maria"), {**case(2, "Bo", "Chile", "Juan"), **spoiled})
    assert [reject.field for reject in read.rejects] == ([] if field is None else [field])


@pytest.mark.data
def test_the_real_cases_are_read_whole(real_data: Path, facts: Facts, own: Own) -> None:
    read = load("mquake", {"facts": real_data / "mquake_cf_250.json"}, facts, PRESET, own)
    kinds = {question.kind for request in read.requests for question in request.implied}
    assert (len(read.requests), read.rejects, read.pool) == (270, [], [])
    assert kinds == {"two_hops", "more_hops", "one_hop"}
    assert sum(not request.implied for request in read.requests) < 80
