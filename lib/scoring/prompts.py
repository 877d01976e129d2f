"""The prompts that an edit is scored on, each with the targets whose likelihood after it is asked for."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lib.core.records import Kind, Request, Score, When

Role = Literal["new", "true"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One prompt of an edit with the targets to be scored after it."""

    request_id: str
    kind: Kind
    prompt_index: int
    prompt: str
    targets: tuple[tuple[Role, str], ...]

    def rows(
        self, values: Iterator[tuple[float, int, int]], said: Iterator[int], when: When, session: int
    ) -> list[Score]:
        """A row for each target, which takes its next (nll, tokens, correct) and as many tokens of what is said."""
        return [self._row(role, target, next(values), said, when, session) for role, target in self.targets]

    def _row(
        self, role: Role, target: str, values: tuple[float, int, int], said: Iterator[int], when: When, session: int
    ) -> Score:
        nll, tokens, correct = values
        return Score(
            request_id=self.request_id,
            session=session,
            when=when,
            kind=self.kind,
            prompt_index=self.prompt_index,
            role=role,
            prompt=self.prompt,
            target=target,
            nll=nll,
            tokens=tokens,
            correct=correct,
            argmax=tuple(itertools.islice(said, tokens)),
        )


def questions(requests: Sequence[Request], contexts: Mapping[str, str]) -> Iterator[Question]:
    """Every evaluation prompt of every edit: the edit, its paraphrases, its locality prompts.

    An edit that is a context (lib.edits.apply.Edit.contexts, by request_id) comes before each of its request's prompts.

    The first two are scored on the new and the true object (where known); locality prompts on their own answer (as
    `true`) and on the edit's new object.
    """
    for request in requests:
        context = contexts.get(request.request_id, "")
        own: list[tuple[Role, str]] = [("new", request.target_new)]
        if request.target_true is not None:
            own.append(("true", request.target_true))
        yield Question(
            request_id=request.request_id,
            kind="efficacy",
            prompt_index=0,
            prompt=context + request.prompt,
            targets=(*own,),
        )
        for index, prompt in enumerate(request.paraphrases):
            yield Question(
                request_id=request.request_id,
                kind="generalization",
                prompt_index=index,
                prompt=context + prompt,
                targets=(*own,),
            )
        for index, local in enumerate(request.locality):
            yield Question(
                request_id=request.request_id,
                kind="locality",
                prompt_index=index,
                prompt=context + local.prompt,
                targets=(("new", request.target_new), ("true", local.target)),
            )
