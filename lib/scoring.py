"""Scores of edits' prompts under a model: one row for every (edit, prompt, target), from which metrics are computed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lib.distributed import World
from lib.encoding import encode
from lib.generation import Prompt, Sampling, TransformersGenerator
from lib.likelihood import score_targets
from lib.packing import batches, pack
from lib.params import Scoring
from lib.records import Fact, Generation, Kind, Request, Score, When, read, write

Role = Literal["new", "true"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One prompt of an edit with the targets to be scored after it."""

    edit_id: str
    kind: Kind
    prompt_index: int
    prompt: str
    targets: tuple[tuple[Role, str], ...]


def questions(requests: Sequence[Request]) -> Iterator[Question]:
    """Every evaluation prompt of every edit: the edit, its paraphrases, its locality prompts.

    The first two are scored on the new and the true object (where known); locality prompts on their own answer (as
    `true`) and on the edit's new object.
    """
    for request in requests:
        own: list[tuple[Role, str]] = [("new", request.target_new)]
        if request.target_true is not None:
            own.append(("true", request.target_true))
        yield Question(edit_id=request.edit_id, kind="efficacy", prompt_index=0, prompt=request.prompt, targets=(*own,))
        for index, prompt in enumerate(request.paraphrases):
            yield Question(
                edit_id=request.edit_id, kind="generalization", prompt_index=index, prompt=prompt, targets=(*own,)
            )
        for index, local in enumerate(request.locality):
            yield Question(
                edit_id=request.edit_id,
                kind="locality",
                prompt_index=index,
                prompt=local.prompt,
                targets=(("new", request.target_new), ("true", local.target)),
            )


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Scores the same requests under a model that is being edited."""

    model: Any
    tokenizer: Any
    requests: Sequence[Request]
    settings: Scoring
    world: World
    progress: Callable[[Sequence[list[int]]], Iterable[list[int]]]

    def run(self, when: When, session: int = 0) -> tuple[list[Score], list[Generation]]:
        """One row a prompt and target in the order of the requests, and the first requests' greedy continuations.

        The rows do not depend on settings.micro_tokens or on the number of processes, to float tolerance.
        """
        asked = list(questions(self.requests))
        prompts, targets = [one.prompt for one in asked], [[text for _, text in one.targets] for one in asked]
        items = encode(self.tokenizer, prompts, targets)
        order = sorted(range(len(items)), key=lambda index: -items[index].length)
        rows: list[tuple[int, list[Score]]] = []
        for batch in self.progress(self.world.mine(batches(items, self.settings.micro_tokens, order))):
            found = score_targets(self.model, pack([items[index] for index in batch]).to(self.model.device))
            values = zip(found.nll.tolist(), found.tokens.tolist(), found.correct.tolist(), strict=True)
            for index in batch:
                one = asked[index]
                rows.append((index, [_row(one, role, text, next(values), when, session) for role, text in one.targets]))
        scores = [row for _, some in sorted(self.world.gather(rows), key=lambda pair: pair[0]) for row in some]
        shown = self.requests[: self.settings.examples]
        return scores, continuations(self.model, self.tokenizer, shown, when, self.settings.example_tokens, session)

    def remembered(self, when: When, folder: Path) -> tuple[list[Score], list[Generation]]:
        """`run`, or what an earlier run with the same model and requests left in `folder`."""
        files = folder / f"{when}-scores.parquet", folder / f"{when}-generations.parquet"
        if all(one.is_file() for one in files):
            found = read(files[0], Score), read(files[1], Generation)
        else:
            found = self.run(when)
            if self.world.first:
                write(files[1], Generation, found[1])
                write(files[0], Score, found[0])
        self.world.wait()
        return found


def _row(
    question: Question, role: Role, target: str, values: tuple[float, int, int], when: When, session: int
) -> Score:
    nll, tokens, correct = values
    return Score(
        edit_id=question.edit_id,
        session=session,
        when=when,
        kind=question.kind,
        prompt_index=question.prompt_index,
        role=role,
        prompt=question.prompt,
        target=target,
        nll=nll,
        tokens=tokens,
        correct=correct,
    )


def continuations(
    model: Any, tokenizer: Any, requests: Sequence[Request], when: When, tokens: int, session: int = 0
) -> list[Generation]:
    """The greedy continuation of each edit's prompt."""
    sampling = Sampling(max_tokens=tokens, temperature=1.0, top_k=0, greedy=True)
    prompts = [Prompt(text=request.prompt, seed=0) for request in requests]
    texts = TransformersGenerator(model, tokenizer).generate("", prompts, sampling)
    return [
        Generation(edit_id=request.edit_id, session=session, when=when, prompt=request.prompt, text=text)
        for request, text in zip(requests, texts, strict=True)
    ]


def known_facts(requests: Sequence[Request], pool: Sequence[Fact]) -> list[tuple[str, str]]:
    """Every (prompt, true answer) in the records: what the unedited model is expected to know."""
    known = [(fact.prompt, fact.target) for fact in pool]
    for request in requests:
        known += [(one.prompt, one.target) for one in request.locality]
        known += [(request.prompt, request.target_true)] if request.target_true is not None else []
    return known


def recall(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], micro_tokens: int) -> float:
    """Share of (prompt, target) pairs whose target is the greedy continuation (every token the argmax)."""
    items = encode(tokenizer, [prompt for prompt, _ in pairs], [(target,) for _, target in pairs])
    known = 0
    for batch in batches(items, micro_tokens):
        found = score_targets(model, pack([items[index] for index in batch]).to(model.device))
        known += int((found.correct == found.tokens).sum())
    return known / len(items)
