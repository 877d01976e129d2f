"""The prompts that a request is scored on, each with the targets whose likelihood after it is measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from lib.core.joins import Separator
from lib.core.records import Kind, Request, Score, When
from lib.data.questions import scored_question
from lib.models.next_token import prompt_items
from lib.models.packing import Item

Role = Literal["new", "true"]
Template = Callable[[str], str]
"""Puts a question into a chat template, up to where the answer begins."""
TextBefore = Callable[[str, str], str]
"""The text that an edit puts before a prompt, by request_id and prompt (lib/edits/contexts.py); often none."""


def nothing_before(request_id: str, prompt: str) -> str:
    """No text, as of an edit that changes weights."""
    return ""


@dataclass(frozen=True, kw_only=True)
class TargetScore:
    """What a model says of one target after one prompt."""

    nll: float
    """Sum over target tokens of -log p, in nats."""
    tokens: int
    correct: int
    """Target tokens that are the argmax."""
    argmax: tuple[int, ...]
    """The most likely token id at the position of each target token."""

    @classmethod
    def of(cls, values: Sequence[Any]) -> "TargetScore":
        """From the values of its fields, in their order, `argmax` as a tuple or a list."""
        nll, tokens, correct, argmax = values
        return cls(nll=nll, tokens=tokens, correct=correct, argmax=tuple(argmax))


@dataclass(frozen=True, kw_only=True)
class ScoredPrompt:
    """One evaluation prompt of a request, with the targets that are scored after it."""

    request_id: str
    kind: Kind
    prompt_index: int
    prompt: str
    bare: str
    """The same without what an edit puts before it, and without a template."""
    targets: tuple[tuple[Role, str], ...]
    separator: Separator | None = None
    """Between the prompt and its targets, where the request's file says it."""

    def rows(self, scores: Sequence[TargetScore], when: When, session: int) -> list[Score]:
        """A row of scores.parquet for each target; `scores` are this prompt's own, in the order of its targets.

        Raises ValueError where there are not as many scores as targets.
        """
        return [
            Score(
                request_id=self.request_id,
                session=session,
                when=when,
                kind=self.kind,
                prompt_index=self.prompt_index,
                role=role,
                prompt=self.prompt,
                target=target,
                nll=score.nll,
                tokens=score.tokens,
                correct=score.correct,
                argmax=score.argmax,
            )
            for (role, target), score in zip(self.targets, scores, strict=True)
        ]


def scored_prompts(
    requests: Sequence[Request], contexts: TextBefore, template: Template | None = None
) -> Iterator[ScoredPrompt]:
    """Every evaluation prompt of every request: the edited prompt, its paraphrases, its question, its locality prompts.

    The question stands in `template`; without one there is none. These are scored on the new and the true object
    (where it is known); locality prompts on their own answer (as `true`) and on the request's new object; the questions
    that the edit implies on their first answer (as `new`) and on the one before the edit, where it is known. `contexts`
    has the text that an edit puts before a prompt.
    """
    for request in requests:
        yield from _of_the_edit(request, contexts, template)
        yield from _of_locality(request, contexts)
        yield from _implied(request, contexts)


def _of_the_edit(request: Request, contexts: TextBefore, template: Template | None) -> Iterator[ScoredPrompt]:
    """The edited prompt, its paraphrases and its question."""
    objects: list[tuple[Role, str]] = [("new", request.target_new)]
    if request.target_true is not None:
        objects.append(("true", request.target_true))
    kinds: tuple[tuple[Kind, Sequence[str]], ...] = (
        ("efficacy", (request.prompt,)),
        ("generalization", request.paraphrases),
        ("chat", () if template is None else (scored_question(request),)),
    )
    for kind, prompts in kinds:
        for index, bare in enumerate(prompts):
            prompt = contexts(request.request_id, bare) + bare
            yield ScoredPrompt(
                request_id=request.request_id,
                kind=kind,
                prompt_index=index,
                prompt=template(prompt) if template and kind == "chat" else prompt,
                bare=bare,
                targets=tuple(objects),
                separator=None if kind == "chat" else request.separator,
            )


def _of_locality(request: Request, contexts: TextBefore) -> Iterator[ScoredPrompt]:
    for index, locality in enumerate(request.locality):
        yield ScoredPrompt(
            request_id=request.request_id,
            kind="locality",
            prompt_index=index,
            prompt=contexts(request.request_id, locality.prompt) + locality.prompt,
            bare=locality.prompt,
            targets=(("new", request.target_new), ("true", locality.target)),
        )


def _implied(request: Request, contexts: TextBefore) -> Iterator[ScoredPrompt]:
    """The questions that the edit implies."""
    for index, question in enumerate(request.implied):
        answers: list[tuple[Role, str]] = [("new", question.answers[0])]
        if question.earlier is not None:
            answers.append(("true", question.earlier))
        yield ScoredPrompt(
            request_id=request.request_id,
            kind="implied",
            prompt_index=index,
            prompt=contexts(request.request_id, question.prompt) + question.prompt,
            bare=question.prompt,
            targets=tuple(answers),
        )


def locality_items(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[ScoredPrompt], items: Sequence[Item]
) -> tuple[dict[int, tuple[str, int]], list[Item]]:
    """Which items end in a locality prompt: index -> (request, place among its locality prompts), in their order.

    `items` are of `prompts`, each with its targets. Where a tokenizer joins a prompt's end with its targets' beginning,
    the prompt stands in an item of its own; these are the second value, and are counted behind `items`.
    """
    of_locality = [(index, prompt) for index, prompt in enumerate(prompts) if prompt.kind == "locality"]
    bare_items = prompt_items(tokenizer, [prompt.prompt for _, prompt in of_locality])
    keys: dict[int, tuple[str, int]] = {}
    apart: list[Item] = []
    for (index, prompt), bare in zip(of_locality, bare_items, strict=True):
        if items[index].prompt != bare.prompt:
            index = len(items) + len(apart)
            apart.append(bare)
        keys[index] = (prompt.request_id, prompt.prompt_index)
    return keys, apart
