"""Questions that an edit implies: continued by a model without a chat template, asked in it by one that has it."""

from dataclasses import replace

import pytest

from lib.core.implied import ImpliedQuestion
from lib.core.params import Greedy
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit
from lib.models.templates import chat_prompt
from lib.scoring.implied import ImpliedBuilder
from lib.scoring.scorer import Scorer
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer
from tests.lib.scoring.test_scorer import requests, scorer

TOKENS = Greedy(tokens=3, limit=None)
QUESTION = ImpliedQuestion(kind="two_hops", prompt="Who rules Gaul?", answers=("Bo", "Bo the Old"), earlier="Cy")
SENTENCE = ImpliedQuestion(kind="alias", prompt="The old town lies in", answers=("Gaul",))


def asking(chat: bool = False) -> Scorer:
    first, *more = requests(3)
    scored = scorer(scored_requests=[replace(first, implied=(QUESTION, SENTENCE)), *more])
    if chat:
        scored.tokenizer.chat_template = CHAT_TEMPLATE
    return scored


def test_a_model_without_a_template_continues_each_question_with_room_for_its_longest_answer() -> None:
    builder = ImpliedBuilder(tokenizer=byte_tokenizer(), longest=None, contexts=Contexts())
    first, second = builder.implied(asking().requests, TOKENS)
    assert [(text.kind, text.prompt_index, text.prompt) for text in (first, second)] == [
        ("implied", 0, QUESTION.prompt), ("implied", 1, SENTENCE.prompt)
    ]  # fmt: skip
    assert (first.encoded.tokens, second.encoded.tokens) == (len(" Bo the Old") + 1, len(" Gaul") + 1)


def test_a_chat_model_is_asked_in_its_template_a_sentence_as_an_order() -> None:
    scored = asking(chat=True)
    builder = ImpliedBuilder(tokenizer=scored.tokenizer, longest=None, contexts=Contexts())
    first, second = builder.implied(scored.requests, TOKENS)
    assert (first.kind, first.prompt) == ("implied_chat", chat_prompt(scored.tokenizer, QUESTION.prompt))
    assert second.prompt == chat_prompt(scored.tokenizer, f"How does this sentence end? {SENTENCE.prompt}")


@pytest.mark.parametrize("chat", [False, True])
def test_the_context_of_an_edit_stands_before_its_implied_questions(chat: bool) -> None:
    scored = asking(chat)
    builder = ImpliedBuilder(
        tokenizer=scored.tokenizer, longest=None, contexts=Contexts(texts={"Rome": "Rome lies in Gaul. "})
    )
    question, _ = builder.implied(scored.requests, TOKENS)
    text = f"Rome lies in Gaul. {QUESTION.prompt}"
    assert scored.tokenizer.decode(question.encoded.ids).endswith(chat_prompt(scored.tokenizer, text) if chat else text)
    assert "Gaul. " not in question.prompt


def test_the_scorer_writes_a_text_and_scores_the_first_answer_of_every_question() -> None:
    scored = asking().after(Edit(updates={}))
    texts = [row for row in scored.generations if row.kind == "implied"]
    assert [(row.request_id, row.prompt_index, row.decoding) for row in texts] == [
        ("Rome", 0, "greedy"), ("Rome", 1, "greedy")
    ]  # fmt: skip
    rows = [(row.prompt_index, row.role, row.target) for row in scored.scores if row.kind == "implied"]
    assert rows == [(0, "new", "Bo"), (0, "true", "Cy"), (1, "new", "Gaul")]


def test_without_implied_questions_nothing_is_written_or_scored_of_them() -> None:
    tables = scorer().before().tables
    kinds = {row.kind for row in tables.scores} | {row.kind for row in tables.generations}
    assert not [kind for kind in kinds if kind.startswith("implied")]
