"""RippleEdits: prompt and object out of a sentence, and queries by their criterion."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.implied import ImpliedQuestion
from lib.core.params import Facts, Own
from lib.datasets import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("ripple_edits", "accuracy")


def queries(prompt: str, *answers: tuple[str, list[str]]) -> dict[str, Any]:
    values = [{"value": value, "aliases": aliases} for value, aliases in answers]
    return {"test_queries": [{"prompt": prompt, "answers": values}], "condition_queries": []}


RECORD: dict[str, Any] = {
    "example_type": "popular",
    "edit": {
        "prompt": "The name of the home town of Ada King is New Bonn.",
        "relation": "HOME",
        "original_fact": {"prompt": "The name of the home town of Ada King is New Rome."},
    },
    "Relation_Specificity": [queries("The trade of Ada King is", ("baker", ["bread maker"]))],
    "Logical_Generalization": [queries("The name of a citizen of New Bonn is", ("Ada King", []), ("Al", []))],
    "Subject_Aliasing": [queries("The name of the home town of Countess Ada is", ("New Bonn", ["Bonn"]))],
    "Compositionality_I": [queries("The mayor of the home town of Ada King is", ("Bo", []))],
    "Forgetfulness": [queries("The name of the other home of Ada King is", ("Ulm", []))],
}


@pytest.fixture
def read(as_json: Callable[..., Path], facts: Facts, own: Own) -> Callable[..., Any]:
    def read(*records: Any, limit: int | None = None) -> Any:
        files = {"facts": as_json([*records])}
        return load("ripple_edits", files, facts.model_copy(update={"limit": limit}), PRESET, own)

    return read


def test_a_sentence_is_split_at_the_is_that_both_sentences_share(read: Callable[..., Any]) -> None:
    (edit,) = read(RECORD).requests
    assert (edit.prompt, edit.subject) == ("The name of the home town of Ada King is", "Ada King")
    assert (edit.target_new, edit.target_true) == ("New Bonn", "New Rome")
    assert edit.template == "The name of the home town of {} is"


def test_every_criterion_but_forgetfulness_gives_questions_of_its_kind(read: Callable[..., Any]) -> None:
    (edit,) = read(RECORD).requests
    assert {(question.kind, question.answers) for question in edit.implied} == {
        ("same_subject", ("baker", "bread maker")),
        ("reversed", ("Ada King", "Al")),
        ("alias", ("New Bonn", "Bonn")),
        ("two_hops", ("Bo",)),
    }
    assert edit.implied[-1] == ImpliedQuestion(
        kind="two_hops", prompt="The mayor of the home town of Ada King is", answers=("Bo",)
    )


def test_a_test_requires_its_conditions_each_answer_of_which_is_a_question_of_its_own(read: Callable[..., Any]) -> None:
    twice = queries("The mayor of New Bonn is", ("Bo", ["Mayor Bo"]), ("Al", []))["test_queries"]
    (test,) = RECORD["Compositionality_I"]
    record = RECORD | {"Compositionality_I": [test | {"condition_queries": twice}] * 2}
    (edit,) = read(record).requests
    *_, chain, first, second = edit.implied
    assert (chain.kind, chain.requires) == ("two_hops", ("The mayor of New Bonn is",))
    assert [(question.kind, question.prompt, question.answers, question.requires) for question in (first, second)] == [
        ("condition", "The mayor of New Bonn is", ("Bo", "Mayor Bo"), ()),
        ("condition", "The mayor of New Bonn is", ("Al",), ()),
    ]
    assert all(question.requires == () for question in edit.implied if question.kind != "two_hops")


def test_conditions_of_a_criterion_that_is_not_scored_are_not_asked(read: Callable[..., Any]) -> None:
    (test,) = RECORD["Forgetfulness"]
    (edit,) = read(RECORD | {"Forgetfulness": [test | {"condition_queries": test["test_queries"]}]}).requests
    assert "condition" not in {question.kind for question in edit.implied}


def test_a_recent_fact_has_no_true_object_and_is_split_at_its_last_is(read: Callable[..., Any]) -> None:
    edit = {"prompt": "The film that This is Ada is based on is Emma.", "subject_id": "Q1"}
    (request,) = read({"example_type": "recent", "edit": edit, "Relation_Specificity": []}).requests
    assert (request.prompt, request.target_new) == ("The film that This is Ada is based on is", "Emma")
    assert (request.target_true, request.subject, request.implied) == (None, None, ())


@pytest.mark.parametrize(
    ("prompt", "earlier"),
    [("Ada King moved to Bonn.", None), ("Ada King is in Bonn.", "Bo moved."), ("Ada is .", None)],
)
def test_a_sentence_that_cannot_be_split_is_a_reject(
    prompt: str, earlier: str | None, read: Callable[..., Any]
) -> None:
    edit = {"prompt": prompt, **({"original_fact": {"prompt": earlier}} if earlier else {})}
    assert [reject.field for reject in read({"edit": edit}, RECORD).rejects] == ["edit.prompt"]


def test_the_pool_is_the_facts_before_the_edit_of_the_other_records(read: Callable[..., Any]) -> None:
    (fact,) = read(RECORD, RECORD, limit=1).pool
    assert (fact.fact_id, fact.prompt, fact.target) == ("1", "The name of the home town of Ada King is", "New Rome")
