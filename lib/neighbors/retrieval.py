"""Neighbors: the unedited facts that are trained beside each edit, drawn at random or by likeness of their prompts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import polars as pl

from lib.core.records import Request
from lib.core.tables import Rows, Streamed
from lib.neighbors.encoders import Encoder
from lib.neighbors.search import embed, nearest

_EDITS = 20_000
"""Edits whose neighbors are put in words at a time: bounds memory, not the result."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The neighbors of each edit, as rows of the pool."""

    rows: Rows
    """[edits, n], in order of rank; -1 where there are fewer."""
    similarities: npt.NDArray[np.float64] | None
    """[edits, n], cosines; none for random neighbors."""


def random_neighbors(requests: Sequence[Request], usable: Rows, n: int, seed: int) -> Found:
    """For each edit `n` different ones of the pool's `usable` rows (all, where there are fewer) in the order drawn.

    An edit's facts depend on the usable rows, the seed and its request_id, not on the other edits.
    """
    count = min(n, len(usable))
    places = [Random(f"{seed}/neighbors/{one.request_id}").sample(range(len(usable)), count) for one in requests]
    drawn = np.array(places, dtype=np.int64).reshape(len(requests), count)
    return Found(rows=usable[drawn] if count else drawn, similarities=None)


def similar_neighbors(
    requests: Sequence[Request], pool: Streamed, usable: Rows, n: int, encoder: Encoder, index: str, folder: Path
) -> Found:
    """For each edit the `n` of the pool's `usable` rows whose prompts are most similar to its own, most similar first.

    `index` is a FAISS factory string; an approximate index may miss facts, or find fewer. Similarities are computed
    from the vectors, whatever the index keeps of them; of equally similar facts, the one earlier in the pool is first.
    Vectors are kept in `folder`. Raises InputError where FAISS cannot make or train such an index.
    """
    if not requests or not len(usable) or not n:
        none: Rows = np.empty((len(requests), 0), dtype=np.int64)
        return Found(rows=none, similarities=np.empty(none.shape))
    stored = embed(_prompts(pool, usable), encoder, folder)
    found = nearest(stored, encoder.encode([request.prompt for request in requests]), n, index)
    return Found(rows=np.where(found.rows < 0, -1, usable[found.rows]), similarities=found.similarities)


def in_words(requests: Sequence[Request], pool: Streamed, found: Found) -> Iterator[pl.DataFrame]:
    """Tables of records.UneditedFact: for each edit in turn its neighbors in order of rank."""
    n = found.rows.shape[1]
    for start in range(0, len(requests), _EDITS):
        rows = found.rows[start : start + _EDITS]
        there = rows >= 0
        request_ids = pl.Series([one.request_id for one in requests[start : start + _EDITS]], dtype=pl.String)
        similarities = None if found.similarities is None else found.similarities[start : start + _EDITS][there]
        yield pool.take(rows[there], "fact_id", "prompt", "target").with_columns(
            request_id=request_ids.gather(np.repeat(np.arange(len(rows)), there.sum(axis=1))),
            rank=np.broadcast_to(np.arange(n), rows.shape)[there],
            similarity=pl.lit(None, pl.Float64) if similarities is None else pl.Series(similarities, dtype=pl.Float64),
        )


def figures(found: Found, n: int) -> dict[str, float]:
    """How many neighbors there are, how many are missing to `n` for every edit, and how similar they are on average.

    `mean_similarity` is absent where no neighbor has a similarity.
    """
    there = found.rows >= 0
    counts = {"neighbors": int(there.sum()), "shortfall": n * len(found.rows) - int(there.sum())}
    if found.similarities is None or not there.any():
        return {**counts}
    return {**counts, "mean_similarity": float(np.mean(found.similarities[there]))}


def _prompts(pool: Streamed, usable: Rows) -> Iterator[list[str]]:
    """The prompts of the usable rows, part by part; no part is empty."""
    for start, part in pool.parts("prompt"):
        first, last = np.searchsorted(usable, (start, start + part.height))
        if first < last:
            yield part["prompt"].gather(usable[first:last] - start).to_list()
