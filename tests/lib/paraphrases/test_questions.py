"""Questions are rephrased by rules of grammar, each into questions and beginnings of sentences with the same answer."""

import pytest

from lib.paraphrases.questions import question_rephrasings
from lib.paraphrases.rules import rephrasings


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the publisher of Emma?", {"The publisher of Emma is what?", "The publisher of Emma is",
                                            "What is Emma's publisher?", "Emma's publisher is"}),
        ("Who is Emma's author?", {"Who is the author of Emma?", "Emma's author is who?", "The author of Emma is"}),
        ("The author of Emma is whom?", {"Who is the author of Emma?"}),
        ("What country is Emma from?", {"Which country is Emma from?", "Emma is from what country?"}),
        ("Emma is a part of what family?", {"What family is Emma a part of?"}),
        ("What company produced Emma?", {"Emma was produced by what company?", "Which company produced Emma?"}),
        ("Who developed Emma?", {"Emma was developed by whom?"}),
        ("By whom was Emma written?", set()),
        ("In what city did Emma die?", {"What city did Emma die in?", "In which city did Emma die?"}),
        ("What is the name of the state where Emma is located?", {"In what state is Emma located?"}),
        ("When was Emma born?", {"Emma was born when?"}),
    ],
)  # fmt: skip
def test_a_question_has_these_phrasings_among_others(question: str, expected: set[str]) -> None:
    phrasings = question_rephrasings(question, "Emma", is_year=False)
    assert expected <= {*phrasings}
    assert question not in phrasings
    assert len(phrasings) == len({*phrasings})
    assert all(text.count("Emma") == 1 for text in phrasings)


def test_a_year_answers_more_questions_than_a_date() -> None:
    assert "In what year did Emma end?" in question_rephrasings("When did Emma end?", "Emma", is_year=True)
    assert question_rephrasings("When did Emma end?", "Emma", is_year=False) == []


@pytest.mark.parametrize(
    ("question", "subject"),
    [("Is Emma a book?", "Emma"), ("Who wrote it?", "Emma"), ("Who wrote Emma?", None), ("Emma or Emma?", "Emma"),
     ("Where is {} in Emma?", "Emma"), ("The person that is the mother of Emma is", "Emma")],
)  # fmt: skip
def test_what_no_rule_fits_is_left_alone(question: str, subject: str | None) -> None:
    assert question_rephrasings(question, subject, is_year=True) == []


def test_a_relative_clause_takes_no_genitive() -> None:
    phrasings = question_rephrasings("The person that is the mother of Emma is who?", "Emma", is_year=False)
    assert phrasings == ["Who is the person that is the mother of Emma?"]


def test_rules_rephrase_questions_and_the_sentences_that_they_begin() -> None:
    phrasings = rephrasings("Who is the author of Emma?", "Emma", "Ada Smith")
    assert {"Emma's author is who?", "The writer of Emma is", "As for Emma, the author is"} <= {*phrasings}
