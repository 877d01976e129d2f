"""A file of facts, looked at before anything runs: its rows, its rejects, and what the model says now."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Reject, Request
from lib.core.run import progress
from lib.core.texts import contains
from lib.generation.engine import Prompt, greedy
from lib.generation.texts import TransformersGenerator
from lib.handover import facts

_TOKENS = 12
_WORDS = 5
"""Longest answer that is taken for the old one: what a model says of a subject it never heard of has no end."""
_ANSWER_END = re.compile(r"[.!?](?=\s|$)|[\n,;:()\u3002\uff01\uff1f\uff0c\uff1b]")


@dataclass(frozen=True, kw_only=True)
class CheckedFacts:
    """The facts of a file, and the rows of it that could not be used."""

    path: Path
    requests: Sequence[Request]
    rejects: Sequence[Reject]
    rows: int


@dataclass(frozen=True, kw_only=True)
class AnswerNow:
    """What the unedited model writes after a fact's prompt."""

    request_id: str
    prompt: str
    text: str
    target_new: str

    @property
    def is_new_already(self) -> bool:
        """Whether it says the new object already."""
        return contains(self.text, self.target_new)


def checked_facts(path: Path) -> CheckedFacts:
    """The facts of the file. Raises InputError where none of its rows can be used, or its columns are not those."""
    if not path.exists():
        raise InputError(f"{path}: wanted a file of facts (CSV, JSONL or Parquet, docs/own-facts.md); found none there")
    loaded = facts.checked_facts(path)
    if not loaded.requests:
        raise InputError("\n".join([f"{path}: no row can be used.", *map(reject_line, loaded.rejects)]))
    return CheckedFacts(path=path, requests=loaded.requests, rejects=loaded.rejects, rows=loaded.rows)


def reject_line(reject: Reject) -> str:
    """Which row was not used, and why."""
    return f"{reject.file}, line {reject.line}, {reject.field}: {reject.reason}"


def answers_now(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]
) -> list[AnswerNow]:
    """What the model writes after every prompt by itself, greedily."""
    prompts = [Prompt(text=request.prompt, seed=0) for request in requests]
    generator = TransformersGenerator(model, tokenizer, lambda texts, total: progress(texts, "asked", total))
    texts = generator.generate("", prompts, greedy(_TOKENS))
    return [
        AnswerNow(request_id=request.request_id, prompt=request.prompt, text=text, target_new=request.target_new)
        for request, text in zip(requests, texts, strict=True)
    ]


def with_old_answers(requests: Sequence[Request], answers: Sequence[AnswerNow]) -> list[Request]:
    """The requests, those without target_true with what the model says: up to the answer's end, five words at most.

    One whose answer is empty, or the new object already, stays as it is.
    """
    texts = {answer.request_id: answer for answer in answers}
    return [_with_old_answer(request, texts[request.request_id]) for request in requests]


def _with_old_answer(request: Request, answer: AnswerNow) -> Request:
    words = _ANSWER_END.split(answer.text.strip(), maxsplit=1)[0].split()
    if request.target_true is not None or not words or answer.is_new_already:
        return request
    return replace(request, target_true=" ".join(words[:_WORDS]))
