"""Scores of edits' prompts under a model: one row for every (edit, prompt, target), from which metrics are computed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from lib.core.params import Scoring
from lib.core.records import Divergence, Generation, Request, Score, When
from lib.core.tables import read, write
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.models.likelihood import score_targets
from lib.models.packing import batches, pack
from lib.models.sharding import join_uneven
from lib.models.tokens import encode
from lib.runtime.distributed import Distributed
from lib.scoring import divergence
from lib.scoring import texts as written
from lib.scoring.prompts import questions
from lib.scoring.texts import Asking, Wanted

T = TypeVar("T")
_NO_CONTEXTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Rows of scores.parquet, generations.parquet and divergences.parquet."""

    scores: Sequence[Score] = ()
    generations: Sequence[Generation] = ()
    divergences: Sequence[Divergence] = ()

    @classmethod
    def of(cls, parts: Iterable["Scored"]) -> "Scored":
        """All of `parts`, one after another."""
        some = list(parts)
        return cls(**{one.name: [row for part in some for row in getattr(part, one.name)] for one in fields(cls)})

    def write(self, scores: Path, generations: Path, divergences: Path) -> None:
        """Write each table to its file."""
        write(scores, Score, self.scores)
        write(generations, Generation, self.generations)
        write(divergences, Divergence, self.divergences)


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Scores the same requests under a model that is being edited.

    No row depends on settings.micro_batch_tokens or on the number of processes: numbers to float tolerance, texts at
    all. No tensor as wide as the vocabulary is longer than a batch.
    """

    model: Any
    tokenizer: Any
    requests: Sequence[Request]
    settings: Scoring
    distributed: Distributed
    progress: Callable[[Sequence[list[int]], str], Iterable[list[int]]]
    """Passes on batches of the work that it is told."""
    place: int = 0
    """Of the first request among those of the run: the limits on texts count from the run's first one."""

    def before(self) -> Scored:
        """One row a prompt and target in the order of the requests, and one a text."""
        return Scored(
            scores=self._scores("before", 0, _NO_CONTEXTS), generations=self._texts("before", 0, _NO_CONTEXTS)
        )

    def after(self, edit: Edit, session: int = 0, texts: bool = True) -> Scored:
        """The same with `edit`, and how far it moves what is said next after each locality prompt."""
        with applied(self.model, edit):
            scores = self._scores("after", session, edit.contexts)
            generations = self._texts("after", session, edit.contexts) if texts else []
        return Scored(scores=scores, generations=generations, divergences=self._divergences(edit, session))

    def remembered(self, folder: Path) -> Scored:
        """`before`, or what an earlier run with the same model and requests left in `folder`."""
        files = folder / "scores.parquet", folder / "generations.parquet"
        if all(one.is_file() for one in files):
            found = Scored(scores=read(files[0], Score), generations=read(files[1], Generation))
        else:
            found = self.before()
            if self.distributed.is_main:
                write(files[1], Generation, found.generations)
                write(files[0], Score, found.scores)
        self.distributed.barrier()
        return found

    def _scores(self, when: When, session: int, contexts: Mapping[str, str]) -> list[Score]:
        asked = list(questions(self.requests, contexts))
        prompts, targets = [one.prompt for one in asked], [[text for _, text in one.targets] for one in asked]
        items = encode(self.tokenizer, prompts, targets)
        order = sorted(range(len(items)), key=lambda index: -items[index].length)

        def score(batch: list[int]) -> list[list[Score]]:
            found = score_targets(self.model, pack([items[index] for index in batch]).to(self.model.device))
            said = iter(found.argmax.tolist())
            values = zip(found.nll.tolist(), found.tokens.tolist(), found.correct.tolist(), strict=True)
            return [asked[index].rows(values, said, when, session) for index in batch]

        rows = self._shared(batches(items, self.settings.micro_batch_tokens, order), score, f"scores {when}")
        return [row for some in rows for row in some]

    def _texts(self, when: When, session: int, contexts: Mapping[str, str]) -> list[Generation]:
        """Greedy ones, then sampled ones, each in the order of the requests and their prompts."""
        greedy, drawn = self.settings.greedy, self.settings.generations
        longest = getattr(self.model.config, "max_position_embeddings", None)
        asking = Asking(tokenizer=self.tokenizer, longest=longest, contexts=contexts)
        rows: list[Generation] = []
        for name, top_k, wanted in (
            ("greedy", None, asking.greedy(self._first(greedy.limit), greedy)),
            ("sampled", drawn.top_k, asking.generations(self._first(drawn.limit), drawn)),
        ):
            work = partial(self._written, wanted, top_k)
            texts = self._shared(written.cut(wanted, self.settings.rows), work, f"{name} texts {when}")
            rows += [one.row(text, when, session) for one, text in zip(wanted, texts, strict=True)]
        return rows

    def _written(self, wanted: Sequence[Wanted], top_k: int | None, batch: list[int]) -> list[str]:
        some = [wanted[place] for place in batch]
        return written.texts(self.model, self.tokenizer, some, top_k, self.settings.rows)

    def _first(self, limit: int | None) -> Sequence[Request]:
        return self.requests if limit is None else self.requests[: max(0, limit - self.place)]

    def _divergences(self, edit: Edit, session: int) -> list[Divergence]:
        asked = [(one, place, local.prompt) for one in self.requests for place, local in enumerate(one.locality)]
        unedited = divergence.ends(self.tokenizer, [prompt for *_, prompt in asked])
        contexts = [edit.contexts.get(one.request_id, "") for one, *_ in asked]
        with_context = [context + prompt for context, (*_, prompt) in zip(contexts, asked, strict=True)]
        edited = divergence.ends(self.tokenizer, with_context) if edit.contexts else unedited

        def diverge(batch: list[int]) -> list[float]:
            before, after = ([items[place] for place in batch] for items in (unedited, edited))
            return divergence.divergences(self.model, edit, before, after)

        values = self._shared(divergence.cut(edited, self.settings.micro_batch_tokens), diverge, "divergence")
        return [
            Divergence(request_id=one.request_id, session=session, prompt_index=place, prompt=prompt, kl=value)
            for (one, place, prompt), value in zip(asked, values, strict=True)
        ]

    def _shared(self, cut: Sequence[list[int]], work: Callable[[list[int]], Sequence[T]], name: str) -> list[T]:
        """What `work` makes of every place of all batches, in order; each process does its share of them."""
        made: list[tuple[int, T]] = []
        with join_uneven(self.model):
            for batch in self.progress(self.distributed.shard(cut), name):
                made += zip(batch, work(batch), strict=True)
        return [one for _, one in sorted(self.distributed.all_gather(made), key=lambda pair: pair[0])]
