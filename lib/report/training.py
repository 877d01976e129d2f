"""What was made to train on beside the edits: how much of it, and some of it to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

MADE_BY = {
    "given": "given with the facts",
    "rules": "by rules of grammar",
    "fewshot": "by the unedited model, from examples",
    "prefix": "with a random text before it",
    "chat": "in a chat",
}
"""How a paraphrase came about, in words."""


@dataclass(frozen=True, kw_only=True)
class TrainedEdit:
    """One edit with all that was made to train on beside it."""

    prompt: str
    target_new: str
    paraphrases: Sequence[tuple[str, str]]
    """(text, how it came about)"""
    neighbors: Sequence[tuple[str, str]]
    """(prompt, target)"""


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What was made for all edits, and some of the edits with theirs."""

    paraphrases: Mapping[str, int]
    """How many, by how they came about."""
    neighbors: int
    edits: int
    """That have any."""
    sample: Sequence[TrainedEdit]


def training_set(requests: pl.DataFrame, paraphrases: pl.DataFrame, neighbors: pl.DataFrame, limit: int) -> TrainingSet:
    """The counts, and `limit` edits that have any, spread evenly over all of them.

    The frames have the columns of records.Request, Paraphrase and UneditedFact.
    """
    kinds = paraphrases.group_by("kind").len().sort("len", "kind", descending=[True, False])
    with_any = pl.concat([paraphrases["request_id"], neighbors["request_id"]]).unique()
    edits = requests.filter(pl.col("request_id").is_in(with_any.implode()))
    spread = edits.gather_every(max(1, len(edits) // limit)).head(limit)
    return TrainingSet(
        paraphrases={MADE_BY[kind]: count for kind, count in kinds.iter_rows()},
        neighbors=len(neighbors),
        edits=len(edits),
        sample=[
            TrainedEdit(
                prompt=prompt,
                target_new=target_new,
                paraphrases=[(text, MADE_BY[kind]) for text, kind in _of(paraphrases, request_id, "text", "kind")],
                neighbors=_of(neighbors, request_id, "prompt", "target"),
            )
            for request_id, prompt, target_new in spread.select("request_id", "prompt", "target_new").iter_rows()
        ],
    )


def _of(rows: pl.DataFrame, request_id: str, *columns: str) -> list[tuple[str, str]]:
    return [*rows.filter(pl.col("request_id") == request_id).select(columns).iter_rows()]
