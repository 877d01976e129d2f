"""What is measured of a model's likelihoods and texts: the rows of three tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from lib.core.records import Divergence, Generation, Request, Score
from lib.core.tables import write

_Row = TypeVar("_Row", Score, Generation, Divergence)


@dataclass(frozen=True, kw_only=True)
class ScoreTables:
    """Rows of scores.parquet, generations.parquet and divergences.parquet."""

    scores: Sequence[Score] = ()
    generations: Sequence[Generation] = ()
    divergences: Sequence[Divergence] = ()

    @classmethod
    def joined(cls, parts: Iterable["ScoreTables"]) -> "ScoreTables":
        """All of `parts`, one after another."""
        tables = list(parts)
        return cls(
            **{field.name: [row for part in tables for row in getattr(part, field.name)] for field in fields(cls)}
        )

    def unchanged(self, requests: Sequence[Request], session: int, texts: bool) -> "ScoreTables":
        """Of the unedited model's tables those that an edit without effect has after `session`, of these requests."""
        scores = _of(requests, self.scores, self._scores_by_request)
        generations = _of(requests, self.generations, self._generations_by_request) if texts else ()
        return ScoreTables(
            scores=[replace(row, when="after", session=session) for row in scores],
            generations=[replace(row, when="after", session=session) for row in generations],
            divergences=[
                Divergence(request_id=request_id, session=session, prompt_index=index, prompt=prompt, kl=0.0)
                for request_id, index, prompt in locality_prompts(requests)
            ],
        )

    def with_rows(self, newer: "ScoreTables") -> "ScoreTables":
        """The same, with the rows of `newer` in place of those of the same prompts."""

        def taken(rows: Sequence[_Row], newer_rows: Sequence[_Row], key: Callable[[_Row], Any]) -> list[_Row]:
            by_key = {key(row): row for row in newer_rows}
            return [by_key.get(key(row), row) for row in rows]

        return ScoreTables(
            scores=taken(self.scores, newer.scores, lambda row: (*_prompt_of(row), row.role)),
            generations=taken(self.generations, newer.generations, lambda row: (*_prompt_of(row), row.decoding)),
            divergences=taken(self.divergences, newer.divergences, lambda row: (row.request_id, row.prompt_index)),
        )

    @cached_property
    def _scores_by_request(self) -> dict[str, list[int]]:
        return _by_request(self.scores)

    @cached_property
    def _generations_by_request(self) -> dict[str, list[int]]:
        return _by_request(self.generations)

    def write(self, scores: Path, generations: Path, divergences: Path | None = None) -> None:
        """Write each table to its file; without `divergences` that table, which the unedited model has none of, not."""
        write(scores, Score, self.scores)
        write(generations, Generation, self.generations)
        if divergences is not None:
            write(divergences, Divergence, self.divergences)


def _prompt_of(row: Score | Generation) -> tuple[str, str, int]:
    return row.request_id, row.kind, row.prompt_index


def _by_request(rows: Iterable[Score | Generation]) -> dict[str, list[int]]:
    """Where each request's rows stand: single edits ask for one request after another."""
    indices: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        indices.setdefault(row.request_id, []).append(index)
    return indices


def _of(requests: Sequence[Request], rows: Sequence[_Row], indices: dict[str, list[int]]) -> list[_Row]:
    """The rows of these requests, in their order."""
    ids = {request.request_id for request in requests}
    return [rows[index] for index in sorted(index for request_id in ids for index in indices.get(request_id, ()))]


def locality_prompts(requests: Sequence[Request]) -> list[tuple[str, int, str]]:
    """Request, place among its locality prompts, and prompt."""
    return [
        (request.request_id, index, locality.prompt)
        for request in requests
        for index, locality in enumerate(request.locality)
    ]
