"""Pools of facts in files, and neighbors as records, for tests."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lib.core.records import Fact, Request, UneditedFact
from lib.core.tables import Streamed, read, write, write_parts
from lib.neighbors.encoders import SentenceEncoder
from lib.neighbors.overlap import without_overlap
from lib.neighbors.retrieval import Retrieved, neighbor_tables, random_neighbors, similar_neighbors


@contextmanager
def pool_of(facts: Sequence[Fact]) -> Iterator[Streamed]:
    """The facts in a file that lasts as long as the context."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "pool.parquet", Fact, facts)
        yield Streamed(path=Path(folder) / "pool.parquet", kind=Fact)


def kept(requests: Sequence[Request], facts: Sequence[Fact]) -> list[Fact]:
    """The facts that pass the overlap filter."""
    with pool_of(facts) as pool:
        return [facts[row] for row in without_overlap(requests, pool).rows]


def at_random(requests: Sequence[Request], facts: Sequence[Fact], n: int, seed: int) -> list[UneditedFact]:
    """Random neighbors among all the facts."""
    with pool_of(facts) as pool:
        return _listed(requests, pool, random_neighbors(requests, np.arange(len(facts)), n, seed))


def similar(
    requests: Sequence[Request], facts: Sequence[Fact], n: int, encoder: SentenceEncoder, index: str = "Flat"
) -> list[UneditedFact]:
    """Similar neighbors among all the facts."""
    with pool_of(facts) as pool:
        rows = np.arange(len(facts))
        return _listed(requests, pool, similar_neighbors(requests, pool, rows, n, encoder, index, pool.path.parent))


def _listed(requests: Sequence[Request], pool: Streamed, retrieved: Retrieved) -> list[UneditedFact]:
    path = pool.path.with_name("neighbors.parquet")
    write_parts(path, UneditedFact, neighbor_tables(requests, pool, retrieved))
    return read(path, UneditedFact)
