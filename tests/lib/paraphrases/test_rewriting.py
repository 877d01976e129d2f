"""What a chat model is told, and the candidates that its answer holds."""

import pytest

from lib.core.records import Request
from lib.paraphrases.rewriting import INSTRUCTIONS, earlier_turns, message, rewritings

REQUEST = Request(
    request_id="1", dataset="own", subject="Ada Ltd", relation=None, prompt="Ada Ltd has its head office in",
    template=None, target_new="Rome", target_true=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The head office of Ada Ltd is in", ["The head office of Ada Ltd is", "The head office of Ada Ltd is in"]),
        ("Ada Ltd is run from in Oslo.\nMore", ["Ada Ltd is", "Ada Ltd is run from", "Ada Ltd is run from in"]),
        ('"Ada Ltd is run from"', ["Ada Ltd is", "Ada Ltd is run from"]),
        ("Bob Ltd has its head office in", []),
        ("The Ada Ltd has its main office in", []),
        ("Ada Ltd spends glad days writing books at", []),
        ("", []),
    ],
)  # fmt: skip
def test_an_answer_holds_its_beginnings_that_an_object_may_follow(answer: str, expected: list[str]) -> None:
    assert list(rewritings(answer, REQUEST)) == expected


@pytest.mark.parametrize("instruction", range(len(INSTRUCTIONS)))
def test_examples_are_asked_for_in_the_words_of_the_message(instruction: int) -> None:
    order = message("", instruction)
    turns = earlier_turns(instruction)
    assert turns
    assert all(question.startswith(order) and answer for question, answer in turns)
