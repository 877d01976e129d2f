"""A judge model's word on free texts: whether what the edited model wrote gives an edit's new object.

It reads the prompt, the object and the text, and answers yes or no, greedily. Which model that is, says
lib/handover/judges.py; how far it agrees with exact match, lib/metrics/agreement.py.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lib.core.records import Request
from lib.core.texts import says
from lib.data.questions import scored_question
from lib.generation.engine import Generator, Prompt, greedy
from lib.metrics.texts import answers

PROMPT = """\
A language model was given a text to go on with, or a question. Judge what it wrote.

Given: {prompt}
Expected answer: {target}
Written: {text}

Does what is written give the expected answer, in these words or others, and no other answer in its place?
Answer yes or no."""
_TOKENS = 16
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
JudgedKind = Literal["efficacy", "generalization", "chat"]
"""The edited prompts, their paraphrases, and the edits' questions in a chat."""


@dataclass(frozen=True, kw_only=True)
class FreeText:
    """What the edited model wrote after one prompt."""

    kind: JudgedKind
    prompt: str
    """As a person reads it: in a chat the question, without the template."""
    target: str
    text: str
    matches: bool
    """Exact match: it begins with the target; in a chat, its first sentence has it."""

    @property
    def message(self) -> str:
        """What the judge is asked."""
        return PROMPT.format(prompt=self.prompt, target=self.target, text=self.text.strip())


def free_texts(generations: Sequence[Mapping[str, Any]], requests: Sequence[Request]) -> list[FreeText]:
    """The greedy texts of the edited model among `generations`, which have the fields of records.Generation."""
    by_id = {request.request_id: request for request in requests}
    return [
        _free_text(row, by_id[row["request_id"]])
        for row in generations
        if row["when"] == "after" and row["decoding"] == "greedy" and row["kind"] in get_args(JudgedKind)
    ]


def _free_text(row: Mapping[str, Any], request: Request) -> FreeText:
    in_chat, target = row["kind"] == "chat", request.target_new
    return FreeText(
        kind=row["kind"],
        prompt=scored_question(request) if in_chat else row["prompt"],
        target=target,
        text=row["text"],
        matches=answers(row["text"], target) if in_chat else says(row["text"], target),
    )


def judged(engine: Generator, texts: Sequence[FreeText]) -> list[bool | None]:
    """Whether each text gives its target, by the judge's first yes or no; None where it writes neither."""
    messages = [Prompt(text=text.message, seed=0) for text in texts]
    return [_word(answer) for answer in engine.generate("", messages, greedy(_TOKENS))]


def _word(answer: str) -> bool | None:
    match = _WORD.search(answer)
    return None if match is None else match[1].lower() == "yes"
