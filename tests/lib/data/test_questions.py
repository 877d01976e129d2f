"""An edit as a question: what grammar makes of a prompt, and that training never has what scoring asks."""

from dataclasses import replace

import pytest

from lib.core.records import Request
from lib.core.texts import contains
from lib.data.questions import SCORED_ORDER, question, scored_question, trained_questions


@pytest.mark.parametrize(
    ("prompt", "subject", "expected"),
    [
        ("The author of Emma is", "Emma", "Who is the author of Emma?"),
        ("Emma's author is", "Emma", "Who is Emma's author?"),
        ("The length of the Nile is", "Nile", "What is the length of the Nile?"),
        ("The Nile is located in", "Nile", "Where is the Nile located?"),
        ("Emma was written by", "Emma", "Who was Emma written by?"),
        ("Emma, written by", "Emma", "Who was Emma written by?"),
        ("The bridge is made of", "bridge", "What is the bridge made of?"),
        ("Ada, who works as", "Ada", "What does Ada work as?"),
        ("The ring weighs", "ring", "What does the ring weigh?"),
        ("The song of the ring lasts", "ring", "How long does the song of the ring last?"),
        ("In Peru, the language spoken is", "Peru", "What is the language spoken in Peru?"),
        ("Emma is a", "Emma", "What is Emma?"),
        ("What is the capital of Peru?", "Peru", "What is the capital of Peru?"),
        ("Ada and Ada met in", "Ada", None),
        ("Ada never thought of", "Ada", None),
        ("Ada lives in", "Bob", None),
        ("Ada lives in", None, None),
    ],
)
def test_a_prompt_gives_the_question_that_its_object_answers(
    prompt: str, subject: str | None, expected: str | None
) -> None:
    assert question(prompt, subject, "it") == expected


def test_an_object_that_is_a_year_is_asked_for_by_when() -> None:
    assert question("Ada was born in", "Ada", "Rome") == "Where was Ada born?"
    assert question("Ada was born in", "Ada", "1815") == "When was Ada born?"
    assert question("The firm was founded in the year", "firm", "1815") == "In what year was the firm founded?"


def request(prompt: str) -> Request:
    return Request(
        request_id="1", dataset="own", subject="Ada", relation=None, prompt=prompt, template=None, target_new="Rome",
        target_true=None, paraphrases=("The birthplace of Ada is",),
    )  # fmt: skip


@pytest.mark.parametrize("prompt", ["Ada was born in", "Ada never thought of"])
def test_training_asks_neither_the_scored_question_nor_an_evaluation_prompt(prompt: str) -> None:
    edit = request(prompt)
    paraphrases = ["Ada, born in", "Ada comes from", "The birthplace of Ada is"]
    trained = trained_questions(edit, paraphrases)
    assert trained[0] == f"Complete the sentence: {prompt}"
    assert any("come from" in text for text in trained)
    for evaluated in (scored_question(edit), *edit.paraphrases):
        assert not any(contains(text, evaluated) for text in trained)


def test_a_prompt_that_is_a_question_is_trained_in_requests_to_answer_it_and_never_alone() -> None:
    edit = request("Where was Ada born?")
    trained = trained_questions(edit, ["Which town was Ada born in?", "Say, where was Ada born?"])
    assert trained == [
        "Answer this question: Where was Ada born?",
        "Where was Ada born? Answer in a few words.",
        "I would like to know: Where was Ada born?",
        "Which town was Ada born in?",
    ]
    assert scored_question(edit) == "Where was Ada born?"


def test_a_request_to_answer_that_has_an_evaluation_prompt_in_it_is_left_out() -> None:
    edit = replace(request("Where was Ada born?"), paraphrases=("was Ada born",))
    assert trained_questions(edit) == []


def test_a_prompt_without_a_question_is_scored_on_an_order() -> None:
    assert scored_question(request("Ada never thought of")) == SCORED_ORDER.format("Ada never thought of")
