"""What is measured of a model's likelihoods and texts: the rows of three tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from lib.core.records import Divergence, Generation, Request, Score
from lib.core.tables import write


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
        ids = {request.request_id for request in requests}
        return ScoreTables(
            scores=[replace(row, when="after", session=session) for row in self.scores if row.request_id in ids],
            generations=[
                replace(row, when="after", session=session)
                for row in self.generations
                if texts and row.request_id in ids
            ],
            divergences=[
                Divergence(request_id=request_id, session=session, prompt_index=index, prompt=prompt, kl=0.0)
                for request_id, index, prompt in locality_prompts(requests)
            ],
        )

    def write(self, scores: Path, generations: Path, divergences: Path | None = None) -> None:
        """Write each table to its file; without `divergences` that table, which the unedited model has none of, not."""
        write(scores, Score, self.scores)
        write(generations, Generation, self.generations)
        if divergences is not None:
            write(divergences, Divergence, self.divergences)


def locality_prompts(requests: Sequence[Request]) -> list[tuple[str, int, str]]:
    """Request, place among its locality prompts, and prompt."""
    return [
        (request.request_id, index, locality.prompt)
        for request in requests
        for index, locality in enumerate(request.locality)
    ]
