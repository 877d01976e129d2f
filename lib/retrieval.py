"""Neighbors: the unedited facts that are trained beside each edit, drawn at random or by likeness of their prompts."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.encoders import Encoder, Vectors
from lib.records import Fact, Neighbor, Request

Rows = npt.NDArray[np.int64]

_BATCH = 256
"""Edits searched for at a time: bounds memory, not the result."""
_RESULTS = 10_000_000
"""Search results held at a time where many facts are equally similar: bounds memory, not the result."""
_SPARE = 16
"""Facts found beyond `n` at first, for those as similar as the last one wanted."""
_DEEPER = 8
"""How many times as many are found where those were not all."""
_ROUNDING = 1e-5
"""No float32 inner product of unit vectors is further than this from the exact one."""


def random_neighbors(requests: Sequence[Request], pool: Sequence[Fact], n: int, seed: int) -> Iterator[Neighbor]:
    """For each edit in turn, `n` different facts (all, where the pool is smaller) in the order drawn.

    An edit's facts depend on the pool, the seed and its edit_id, not on the other edits.
    """
    for request in requests:
        random = Random(f"{seed}/neighbors/{request.edit_id}")
        for rank, row in enumerate(random.sample(range(len(pool)), min(n, len(pool)))):
            yield _neighbor(request, pool[row], rank, similarity=None)


def similar_neighbors(
    requests: Sequence[Request], pool: Sequence[Fact], n: int, encoder: Encoder, index: str
) -> Iterator[Neighbor]:
    """For each edit in turn, the `n` facts whose prompts are most similar to its own, most similar first.

    `index` is a FAISS factory string; an approximate index may miss facts, or find fewer. Similarities are computed
    from the vectors, whatever the index keeps of them; of equally similar facts, the one earlier in the pool is first.
    Raises ValueError where FAISS cannot make or train such an index.
    """
    if not requests or not pool or not n:
        return
    vectors = encoder.encode([fact.prompt for fact in pool])
    searched = _index(index, vectors)
    for start in range(0, len(requests), _BATCH):
        batch = requests[start : start + _BATCH]
        queries = encoder.encode([request.prompt for request in batch])
        for request, query, rows in zip(batch, queries, _candidates(searched, queries, n, n + _SPARE), strict=True):
            similarities = _cosines(vectors[rows], query)
            best = np.lexsort((rows, -similarities))[:n]
            for rank, place in enumerate(best):
                yield _neighbor(request, pool[rows[place]], rank, float(similarities[place]))


def figures(requests: Sequence[Request], found: Sequence[Neighbor], n: int) -> dict[str, float]:
    """How many neighbors there are, how many are missing to `n` for every edit, and how similar they are on average.

    `mean_similarity` is absent where no neighbor has a similarity.
    """
    counts = {"neighbors": len(found), "shortfall": n * len(requests) - len(found)}
    similarities = [one.similarity for one in found if one.similarity is not None]
    return {**counts, "mean_similarity": float(np.mean(similarities))} if similarities else {**counts}


def _neighbor(request: Request, fact: Fact, rank: int, similarity: float | None) -> Neighbor:
    return Neighbor(
        edit_id=request.edit_id,
        fact_id=fact.fact_id,
        rank=rank,
        similarity=similarity,
        prompt=fact.prompt,
        target=fact.target,
    )


def _index(factory: str, vectors: Vectors) -> Any:
    """A FAISS index of `vectors` [n, d] by inner product."""
    import faiss

    try:
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
    except RuntimeError as error:
        raise ValueError(
            f"neighbors.index: FAISS cannot index {len(vectors)} facts of {vectors.shape[1]} numbers by {factory!r} "
            f"({error}). 'Flat' serves any pool"
        ) from error
    return index


def _candidates(index: Any, queries: Vectors, n: int, depth: int) -> list[Rows]:
    """For each of `queries` [b, d], the rows of the `n` nearest vectors and of all that may be as near as the last.

    `depth` nearest are looked at (at least n); where they end among equals, more are.
    """
    depth = min(depth, index.ntotal)
    similarities, rows = index.search(queries, depth)
    found = [row[row >= 0] for row in rows]
    if depth == index.ntotal:
        return found
    tied = np.flatnonzero((similarities[:, n - 1] - similarities[:, -1] <= _ROUNDING) & (rows[:, -1] >= 0))
    size = max(1, _RESULTS // (_DEEPER * depth))
    for start in range(0, len(tied), size):
        some = tied[start : start + size]
        for place, deeper in zip(some, _candidates(index, queries[some], n, _DEEPER * depth), strict=True):
            found[place] = deeper
    return found


def _cosines(vectors: Vectors, query: Vectors) -> npt.NDArray[np.float64]:
    """Inner products of `vectors` [n, d] with `query` [d], the same for equal vectors wherever they stand."""
    products: npt.NDArray[np.float64] = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    return products
