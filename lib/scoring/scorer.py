"""Scores of requests' prompts under a model: a row for every (request, prompt, target), from which metrics follow."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Scoring
from lib.core.records import Divergence, Generation, Request, Score, When
from lib.edits.apply import applied
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit
from lib.edits.scope import Scope
from lib.edits.scope_classifier import ScopeClassifier
from lib.models.check import packed_for, reading_of
from lib.models.likelihood import TargetScores, score_targets
from lib.models.packing import Item, batches, batches_by_beginning
from lib.models.sharding import join_uneven
from lib.models.templates import chat_prompt, has_template
from lib.models.tokens import encode
from lib.runtime.distributed import Distributed
from lib.runtime.pieces import Pieces
from lib.scoring import divergence
from lib.scoring import texts as continuations
from lib.scoring.implied import ImpliedBuilder
from lib.scoring.lookups import asked_prompts, look_up, scope_counts
from lib.scoring.prompts import TargetScore, TextBefore, locality_items, scored_prompts
from lib.scoring.states import LocalityStates, PromptKey, UneditedScores, from_text, in_text
from lib.scoring.tables import ScoreTables, locality_prompts
from lib.scoring.texts import Continuation

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Scores the same requests under a model that is being edited.

    No row depends on settings.micro_batch_tokens or on the number of processes: numbers to float tolerance, texts at
    all. No tensor as wide as the vocabulary is longer than a batch.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    requests: Sequence[Request]
    settings: Scoring
    distributed: Distributed
    progress: Callable[[Sequence[list[int]], str], Iterable[list[int]]]
    """Passes on the batches of the work that the second argument names."""
    first_index: int = 0
    """Index of the first request among those of the run: the limits on texts count from the run's first request."""
    folder: Path | None = None
    """Where what is measured survives a kill; None: nowhere."""
    unedited: Callable[[], UneditedScores] | None = None
    """Reads what `before` gave of the run's requests: divergences are from its states, and of an edit without effect
    its tables are taken again. None: the states are measured beside each edit."""
    scope: Callable[[Sequence[Request]], Scope | None] = lambda requests: None
    """Makes, from the requests, the scope of an edit of weights that comes without one; None: it stays without."""
    tell_scope: Callable[[Mapping[str, tuple[int, int]]], None] = lambda counts: None
    """Takes, of an edit with a scope, by kind of prompt how many are in scope and how many there are."""
    asks: Callable[[str], bool] = lambda bare: True
    """Which prompts are measured, by what they are without template and context."""

    def before(self) -> UneditedScores:
        """One row a prompt and target of the unedited model, in the order of the requests, and one a text."""
        scores, states = self._measured_before()
        generations = self._texts("before", 0, Contexts())
        return UneditedScores(tables=ScoreTables(scores=scores, generations=generations), states=states)

    def _measured_before(self) -> tuple[list[Score], LocalityStates]:
        scores, texts = self._measured("before", 0, Contexts(), lambda _, states: in_text(states))
        return scores, LocalityStates.of(self.requests, from_text([*texts.values()], self.model.dtype))

    def after(self, edit: Edit, session: int = 0, texts: bool = True) -> ScoreTables:
        """The same with `edit`, and the KL divergence of the next token after each locality prompt.

        A prompt that is out of the edit's scope has the unedited model's rows.
        """
        if self.unedited is not None and edit.changes_nothing:
            return self.unedited().tables.unchanged(self.requests, session, texts)
        classifier = ScopeClassifier.of(self.scoped(edit), self.model.device.type)
        if classifier.scope is None:
            return self._after(edit, session, texts)
        unedited = self.unedited() if self.unedited else self.before()
        self._looked_up(classifier.classify, "prompts whose scope is found")
        self.tell_scope(scope_counts(asked_prompts(self.tokenizer, self.requests), classifier))
        inside = replace(self, unedited=lambda: unedited, asks=classifier.holds)
        return unedited.tables.unchanged(self.requests, session, texts).with_rows(inside._after(edit, session, texts))

    def scoped(self, edit: Edit) -> Edit:
        """The edit with the scope that it has here."""
        return edit.scoped(lambda: self.scope(self.requests))

    def _after(self, edit: Edit, session: int, texts: bool) -> ScoreTables:
        """That of the prompts that are asked, with the edit in force."""
        states_before = self.unedited().states if self.unedited else self._measured_before()[1]
        contexts, head = self._contexts(edit), divergence.head_of(self.model, edit)

        def diverge(keys: Sequence[PromptKey], states: Tensor) -> list[float]:
            before = states_before.after(keys, states.device)
            return divergence.divergences(head, before, self.model.get_output_embeddings(), states)

        with applied(self.model, edit):
            scores, values = self._measured("after", session, contexts, diverge)
            generations = self._texts("after", session, contexts) if texts else []
        divergences = [
            Divergence(request_id=request_id, session=session, prompt_index=index, prompt=prompt, kl=kl)
            for request_id, index, prompt in locality_prompts(self.requests)
            if (kl := values.get((request_id, index))) is not None
        ]
        return ScoreTables(scores=scores, generations=generations, divergences=divergences)

    def _contexts(self, edit: Edit) -> Contexts:
        """What the edit puts before prompts; notes for them are retrieved here."""
        contexts = Contexts.of(edit, self.model.device.type)
        if edit.notes is not None:
            self._looked_up(contexts.retrieve, "prompts whose notes are found")
        return contexts

    def _looked_up(self, consult: Callable[[Sequence[str]], None], name: str) -> None:
        """Have `consult` go through all prompts, as they are asked, many at a time."""
        look_up(asked_prompts(self.tokenizer, self.requests), consult, lambda parts: self.progress(parts, name))

    def _measured(
        self, when: When, session: int, contexts: Contexts,
        of_states: Callable[[Sequence[PromptKey], Tensor], Sequence[T]],
    ) -> tuple[list[Score], dict[PromptKey, T]]:  # fmt: skip
        """The rows of all prompts, and what `of_states` gives of the final hidden states after the locality prompts."""
        template = partial(chat_prompt, self.tokenizer) if has_template(self.tokenizer) else None
        prompts = [each for each in scored_prompts(self.requests, contexts, template) if self.asks(each.bare)]
        items = encode(
            self.tokenizer,
            [prompt.prompt for prompt in prompts],
            [[target for _, target in prompt.targets] for prompt in prompts],
            [prompt.separator for prompt in prompts],
        )
        keys, apart = locality_items(self.tokenizer, prompts, items)
        items = [*items, *apart]
        share = not contexts.are_none and reading_of(self.model).rows == "shared"

        def measure(batch: list[int]) -> list[tuple[list[tuple[Any, ...]], list[T]]]:
            scores, states = self._read([items[index] for index in batch], share)
            with_key = [position for position, index in enumerate(batch) if index in keys]
            values = of_states([keys[batch[position]] for position in with_key], states[with_key]) if with_key else []
            value_at = {position: [value] for position, value in zip(with_key, values, strict=True)}
            return [([*map(astuple, of_item)], value_at.get(position, [])) for position, of_item in enumerate(scores)]

        measured = self._distribute(self._batches(items, share), measure, f"scores {when}", session)
        rows = [
            row
            for prompt, (of_prompt, _) in zip(prompts, measured[: len(prompts)], strict=True)
            for row in prompt.rows([TargetScore.of(values) for values in of_prompt], when, session)
        ]
        return rows, {key: value for index, key in keys.items() for value in measured[index][1]}

    def _batches(self, items: Sequence[Item], share: bool) -> list[list[int]]:
        """Indices of the items in forward passes, longest first."""
        tokens = self.settings.micro_batch_tokens
        if share:
            return batches_by_beginning(items, tokens)
        return batches(items, tokens, sorted(range(len(items)), key=lambda index: -items[index].length))

    def _read(self, items: Sequence[Item], share: bool) -> tuple[list[list[TargetScore]], Tensor]:
        """The scores of each item's targets, and the final hidden state after each item's prompt [items, d].

        With `share`, what prompts begin with in common is read once.
        """
        scores = score_targets(self.model, packed_for(self.model, items, share=share))
        firsts = list(accumulate((len(item.targets) for item in items[:-1]), initial=0))
        return [*scores_by_item(items, scores)], scores.states[firsts]

    def _texts(self, when: When, session: int, contexts: TextBefore) -> list[Generation]:
        """Greedy ones, sampled ones, and what edits imply, each in the order of the requests and their prompts."""
        greedy, sampled = self.settings.greedy, self.settings.generations
        longest = getattr(self.model.config, "max_position_embeddings", None)
        builder = ImpliedBuilder(tokenizer=self.tokenizer, longest=longest, contexts=contexts)
        kinds: list[tuple[str, int | None, list[Continuation]]] = [
            ("greedy", None, builder.greedy(self._first(greedy.limit), greedy)),
            ("sampled", sampled.top_k, builder.generations(self._first(sampled.limit), sampled)),
        ]
        if implied := builder.implied(self._first(greedy.limit), greedy):
            kinds.append(("implied", None, implied))
        rows: list[Generation] = []
        for name, top_k, continuations_of_kind in kinds:
            prompts = [prompt for prompt in continuations_of_kind if self.asks(prompt.bare)]
            texts = self._write(prompts, top_k, f"{name} texts {when}", session)
            rows += [prompt.row(text, when, session) for prompt, text in zip(prompts, texts, strict=True)]
        return rows

    def _write(self, prompts: Sequence[Continuation], top_k: int | None, name: str, session: int) -> list[str]:
        """The text after every prompt; each process writes its share."""
        with self._pieces(name, session) as pieces:
            work = [[index] for index in range(len(prompts)) if index not in pieces.values]
            share = self.distributed.shard(work)

            def show(finished: Iterator[tuple[int, list[int]]]) -> Iterator[tuple[int, list[int]]]:
                for (position, tokens), _ in zip(finished, self.progress(share, name), strict=True):
                    pieces.add([(share[position][0], tokens)])
                    yield position, tokens

            with join_uneven(self.model):
                own = [prompts[index] for (index,) in share]
                continuations.tokens(self.model, own, top_k, self.settings.rows, show)
            tokens = self._gathered(pieces)
        return [continuations.text(self.tokenizer, *pair) for pair in zip(prompts, tokens, strict=True)]

    def _first(self, limit: int | None) -> Sequence[Request]:
        return self.requests if limit is None else self.requests[: max(0, limit - self.first_index)]

    def _distribute(
        self, work: Sequence[list[int]], measure: Callable[[list[int]], Sequence[T]], name: str, session: int
    ) -> list[T]:
        """What `measure` gives for every index of all batches, in order; each process does its share of the batches.

        It gives what JSON holds. Batches that were measured before a kill are not measured again.
        """
        with self._pieces(name, session) as pieces:
            missing = [batch for batch in work if any(index not in pieces.values for index in batch)]
            with join_uneven(self.model):
                for batch in self.progress(self.distributed.shard(missing), name):
                    pieces.add(zip(batch, measure(batch), strict=True))
            return self._gathered(pieces)

    def _pieces(self, name: str, session: int) -> AbstractContextManager[Pieces]:
        folder = None if self.folder is None else self.folder / f"session-{session:08d}"
        return Pieces.of(folder, name, self.distributed)

    def _gathered(self, pieces: Pieces) -> list[Any]:
        """What all processes have measured, in order."""
        return [value for _, value in sorted(dict(self.distributed.all_gather([*pieces.values.items()])).items())]


def scores_by_item(items: Sequence[Item], scores: TargetScores) -> Iterator[list[TargetScore]]:
    """The scores of each item's own targets, in their order; `scores` are those of all items packed together."""
    counts = scores.tokens.tolist()
    argmax = [tokens.tolist() for tokens in torch.split(scores.argmax, counts)]
    targets = [
        TargetScore(nll=nll, tokens=tokens, correct=correct, argmax=tuple(ids))
        for nll, tokens, correct, ids in zip(scores.nll.tolist(), counts, scores.correct.tolist(), argmax, strict=True)
    ]
    ends = accumulate((len(item.targets) for item in items), initial=0)
    return (targets[start:end] for start, end in pairwise(ends))
