"""Neighbors: the unedited facts that are trained beside each edit, drawn at random or by likeness of their prompts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import polars as pl

from lib.core.records import Request
from lib.core.tables import RowNumbers, Streamed
from lib.neighbors.encoders import SentenceEncoder
from lib.neighbors.search import embed, nearest

_REQUESTS = 20_000
"""Requests whose neighbors are looked up in the pool at a time: bounds memory, not the result."""


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """The neighbors of each request, as rows of the pool."""

    rows: RowNumbers
    """[requests, n], in order of rank; -1 where there are fewer."""
    similarities: npt.NDArray[np.float64] | None
    """[requests, n], cosines; none for random neighbors."""


def random_neighbors(requests: Sequence[Request], usable: RowNumbers, n: int, seed: int) -> Retrieved:
    """For each request `n` different ones of the pool's `usable` rows (all, where there are fewer) in the order drawn.

    A request's facts depend on the usable rows, the seed and its request_id, not on the other requests.
    """
    count = min(n, len(usable))
    samples = [
        Random(f"{seed}/neighbors/{request.request_id}").sample(range(len(usable)), count) for request in requests
    ]
    indices = np.array(samples, dtype=np.int64).reshape(len(requests), count)
    return Retrieved(rows=usable[indices] if count else indices, similarities=None)


def similar_neighbors(
    requests: Sequence[Request],
    pool: Streamed,
    usable: RowNumbers,
    n: int,
    encoder: SentenceEncoder,
    index: str,
    folder: Path,
) -> Retrieved:
    """For each request the `n` of the pool's `usable` rows whose prompts are most like its own, most similar first.

    `index` is a FAISS factory string; an approximate index may miss facts, or find fewer. Similarities are computed
    from the vectors, whatever the index keeps of them; of equally similar facts, the one earlier in the pool is first.
    Vectors are kept in `folder`. Raises InputError where FAISS cannot make or train such an index.
    """
    if not requests or not len(usable) or not n:
        none: RowNumbers = np.empty((len(requests), 0), dtype=np.int64)
        return Retrieved(rows=none, similarities=np.empty(none.shape))
    vectors = embed(_prompts(pool, usable), encoder, folder)
    results = nearest(vectors, encoder.encode([request.prompt for request in requests]), n, index)
    return Retrieved(rows=np.where(results.rows < 0, -1, usable[results.rows]), similarities=results.similarities)


def neighbor_tables(requests: Sequence[Request], pool: Streamed, retrieved: Retrieved) -> Iterator[pl.DataFrame]:
    """Tables of records.UneditedFact: for each request in turn its neighbors in order of rank."""
    n = retrieved.rows.shape[1]
    for start in range(0, len(requests), _REQUESTS):
        rows = retrieved.rows[start : start + _REQUESTS]
        present = rows >= 0
        request_ids = pl.Series(
            [request.request_id for request in requests[start : start + _REQUESTS]], dtype=pl.String
        )
        similarities = (
            None if retrieved.similarities is None else retrieved.similarities[start : start + _REQUESTS][present]
        )
        yield pool.take(rows[present], "fact_id", "prompt", "target").with_columns(
            request_id=request_ids.gather(np.repeat(np.arange(len(rows)), present.sum(axis=1))),
            rank=np.broadcast_to(np.arange(n), rows.shape)[present],
            similarity=pl.lit(None, pl.Float64) if similarities is None else pl.Series(similarities, dtype=pl.Float64),
        )


def figures(retrieved: Retrieved, n: int) -> dict[str, float]:
    """How many neighbors there are, how many are missing to `n` for every request, and how similar they are on average.

    `mean_similarity` is absent where no neighbor has a similarity.
    """
    present = retrieved.rows >= 0
    counts = {"neighbors": int(present.sum()), "shortfall": n * len(retrieved.rows) - int(present.sum())}
    if retrieved.similarities is None or not present.any():
        return {**counts}
    return {**counts, "mean_similarity": float(np.mean(retrieved.similarities[present]))}


def _prompts(pool: Streamed, usable: RowNumbers) -> Iterator[list[str]]:
    """The prompts of the usable rows, part by part; no part is empty."""
    for start, part in pool.parts("prompt"):
        first, last = np.searchsorted(usable, (start, start + part.height))
        if first < last:
            yield part["prompt"].gather(usable[first:last] - start).to_list()
