"""Nearest vectors among more than memory holds: vectors in files, searched exactly part by part, or by a FAISS index.

Whatever searches, the similarities that decide are inner products in float64, rounded, so that neither the index nor
the device nor the size of the parts changes a result of an exact search.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.core.errors import InputError
from lib.core.files import replacing
from lib.core.tables import RowNumbers
from lib.neighbors.encoders import SentenceEncoder, Vectors
from lib.neighbors.stored import is_sound

FLAT = "Flat"

Search = Callable[[Vectors, int], tuple[Vectors, RowNumbers]]
"""Of queries [b, d] and a depth k: float32 inner products [b, k], largest first, and rows [b, k], -1 for none."""

_BATCH = 1024
"""Queries searched for at a time: bounds memory, not the result."""
_RESULTS = 10_000_000
"""Search results held at a time where many vectors are equally similar: bounds memory, not the result."""
_GATHERED = 65_536
"""Vectors held at a time to compute similarities: bounds memory, not the result."""
_SPARE = 16
"""Vectors found beyond `n` at first, for those as similar as the last one wanted."""
_DEEPER = 8
"""How many times as many are found where those were not all."""
_ROUNDING = 1e-5
"""No float32 inner product of unit vectors is further than this from the exact one."""
_DECIMALS = 12
"""Similarities are rounded to these: float64 sums of the same numbers in another order are then equal."""
_EQUAL = 0.5e-12
"""Half of the smallest difference between similarities."""
_SPARSE = 1 / 8
"""Vectors with at most this share of numbers that are not 0 are multiplied as sparse ones."""
_TRAINED = 262_144
"""Vectors that an index is fitted to at most; more are drawn from evenly."""
_GPU_DEPTH = 2048
"""The deepest search that FAISS does on a GPU."""


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """For each query its nearest vectors, most similar first; of equally similar ones the first is first."""

    rows: RowNumbers
    """[q, n]; -1 where fewer were found."""
    similarities: npt.NDArray[np.float64]
    """[q, n]; -inf where fewer were found."""


@dataclass(frozen=True)
class VectorFiles:
    """Unit vectors in files of a folder."""

    files: tuple[Path, ...]
    starts: tuple[int, ...] = field(init=False)
    """The row that each file begins with, and the number of rows."""

    def __post_init__(self) -> None:
        sizes = [len(np.load(file, mmap_mode="r")) for file in self.files]
        object.__setattr__(self, "starts", (0, *np.cumsum(sizes, dtype=int).tolist()))

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def size(self) -> int:
        """Numbers of a vector, d."""
        return int(np.load(self.files[0], mmap_mode="r").shape[1])

    def parts(self) -> Iterator[tuple[int, Vectors]]:
        """The vectors of each file, with the row that it begins with."""
        for start, file in zip(self.starts, self.files, strict=False):
            yield start, np.load(file)

    def take(self, rows: RowNumbers) -> Vectors:
        """The vectors [m, d] of `rows` [m]."""
        file_numbers = np.searchsorted(self.starts, rows, side="right") - 1
        vectors: Vectors = np.empty((len(rows), self.size), dtype=np.float32)
        for file in np.unique(file_numbers):
            mapped = np.load(self.files[file], mmap_mode="r")
            vectors[file_numbers == file] = mapped[rows[file_numbers == file] - self.starts[file]]
        return vectors


def embed(texts: Iterable[Sequence[str]], encoder: SentenceEncoder, folder: Path) -> VectorFiles:
    """Encode each part of the texts into a file of its own in `folder`; a file that is there, and sound, is kept."""
    files = []
    for number, part in enumerate(texts):
        file = folder / f"vectors-{number:05d}.npy"
        if not is_sound(file):
            with replacing(file) as unfinished, unfinished.open("wb") as stream:
                np.save(stream, encoder.encode(part))
        files.append(file)
    return VectorFiles(tuple(files))


def nearest(vectors: VectorFiles, queries: Vectors, n: int, index: str) -> Nearest:
    """The `n` vectors nearest to each of `queries` [q, d] by inner product.

    `index` is a FAISS factory string, which may go on with search parameters (`IVF1024,Flat;nprobe=32`). `Flat` is
    exact and holds a file of vectors at a time; any other index is held whole, and may miss vectors, or find fewer.
    Raises InputError where FAISS cannot make, train or set up such an index.
    """
    best = _Best(queries, min(n, len(vectors)))
    if index == FLAT:
        for start, part in vectors.parts():
            if np.count_nonzero(part) <= _SPARSE * part.size:
                best.meet_sparse(part, start)
                continue
            best.meet(_flat(part), len(part), lambda rows, part=part: part[rows], start)  # type: ignore[misc]
    else:
        best.meet(_indexed(vectors, index), len(vectors), vectors.take, 0)
    return best.result()


class _Best:
    """The best vectors so far of each query."""

    def __init__(self, queries: Vectors, n: int) -> None:
        self._queries, self._n = queries, n
        self._rows = np.full((len(queries), n), -1, dtype=np.int64)
        self._similarities = np.full((len(queries), n), -np.inf)

    def result(self) -> Nearest:
        return Nearest(rows=self._rows, similarities=self._similarities)

    def meet(self, search: Search, size: int, vectors: Callable[[RowNumbers], Vectors], start: int) -> None:
        """Compare with `size` further vectors, whose rows count from `start`; `vectors` gives those of rows from 0."""
        for begin in range(0, len(self._queries), _BATCH):
            query_rows = np.arange(begin, min(begin + _BATCH, len(self._queries)))
            for group, candidates in self._candidates(search, size, query_rows, self._n + _SPARE):
                self._improve(group, candidates, vectors, start)

    def meet_sparse(self, part: Vectors, start: int) -> None:
        """Compare with all vectors of `part` [m, d], of which few numbers are not 0, at the cost of those only.

        Such vectors, as hashed words are, are often equally similar by the thousand, so that a search for the first few
        float32 products would not end.
        """
        from scipy.sparse import csr_array

        sparse = csr_array(part, dtype=np.float64)
        size = max(1, _RESULTS // len(part))
        for begin in range(0, len(self._queries), size):
            products = sparse @ self._queries[begin : begin + size].T.astype(np.float64)  # [m, b]
            last = self._similarities[begin : begin + size, -1]
            # what is equally similar to the last of n earlier ones comes after it
            better = (
                products > last + _EQUAL if np.isfinite(last).all() else products >= _nth(products, self._n) - _EQUAL
            )
            query_numbers, rows = np.nonzero(np.ascontiguousarray(better.T))
            numbered_queries, firsts = np.unique(query_numbers, return_index=True)
            for number, better_rows in zip(numbered_queries.tolist(), np.split(rows, firsts[1:]), strict=False):
                self._merge(begin + number, better_rows + start, np.round(products[better_rows, number], _DECIMALS))

    def _candidates(
        self, search: Search, size: int, query_rows: RowNumbers, depth: int
    ) -> Iterator[tuple[RowNumbers, list[RowNumbers]]]:
        """For each query in `query_rows`, all rows that may be among its best; queries come in groups.

        `depth` nearest are looked at; where what may be better, or as good as the last, does not end there, more are.
        """
        depth = min(depth, size)
        similarities, rows = search(self._queries[query_rows], depth)
        least = similarities[:, min(self._n, depth) - 1]
        least = np.maximum(least, self._similarities[query_rows, -1]) - _ROUNDING
        open_ended = (similarities[:, -1] >= least) & (rows[:, -1] >= 0) & (depth < size)
        closed = np.flatnonzero(~open_ended)
        within = (similarities >= least[:, None]) & (rows >= 0)
        yield query_rows[closed], [rows[query][within[query]] for query in closed]
        tied = query_rows[open_ended]
        group = max(1, _RESULTS // (_DEEPER * depth))
        for begin in range(0, len(tied), group):
            yield from self._candidates(search, size, tied[begin : begin + group], _DEEPER * depth)

    def _improve(
        self,
        query_rows: RowNumbers,
        candidates: Sequence[RowNumbers],
        vectors: Callable[[RowNumbers], Vectors],
        start: int,
    ) -> None:
        """Take the candidates that are better than what each query has."""
        for group in _groups(query_rows, candidates):
            candidate_vectors = vectors(np.concatenate([rows for _, rows in group]))
            begin = 0
            for query, rows in group:
                self._merge(
                    query, rows + start, _cosines(candidate_vectors[begin : begin + len(rows)], self._queries[query])
                )
                begin += len(rows)

    def _merge(self, query: int, rows: RowNumbers, similarities: npt.NDArray[np.float64]) -> None:
        rows = np.concatenate([self._rows[query], rows])
        similarities = np.concatenate([self._similarities[query], similarities])
        order = np.lexsort((rows, -similarities))[: self._n]
        self._rows[query], self._similarities[query] = rows[order], similarities[order]


def _groups(query_rows: RowNumbers, candidates: Sequence[RowNumbers]) -> Iterator[list[tuple[int, RowNumbers]]]:
    """Queries with their candidates, such that no group has many more than _GATHERED candidates."""
    group: list[tuple[int, RowNumbers]] = []
    held = 0
    for query, rows in zip(query_rows.tolist(), candidates, strict=True):
        for begin in range(0, len(rows), _GATHERED):
            group.append((query, rows[begin : begin + _GATHERED]))
            held += len(group[-1][1])
            if held >= _GATHERED:
                yield group
                group, held = [], 0
    if group:
        yield group


def _cosines(vectors: Vectors, query: Vectors) -> npt.NDArray[np.float64]:
    """Inner products of `vectors` [m, d] with `query` [d]."""
    products: npt.NDArray[np.float64] = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    return np.round(products, _DECIMALS)


def _nth(products: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    """The n-th largest of each column [b] of `products` [m, b]; -inf where there are no more than n."""
    if len(products) <= n:
        return np.full(products.shape[1], -np.inf)
    columns = products.T.copy()
    columns.partition(len(products) - n, axis=1)
    largest: npt.NDArray[np.float64] = columns[:, -n].copy()
    return largest


def _flat(part: Vectors) -> Search:
    """Exact search of `part` [m, d], without another copy of it; on a GPU where FAISS has one."""
    import faiss

    def search(queries: Vectors, depth: int) -> tuple[Vectors, RowNumbers]:
        if _has_gpu() and depth <= _GPU_DEPTH:
            results: tuple[Vectors, RowNumbers] = faiss.knn_gpu(
                faiss.StandardGpuResources(), queries, part, depth, metric=faiss.METRIC_INNER_PRODUCT
            )
        else:
            results = faiss.knn(queries, part, depth, metric=faiss.METRIC_INNER_PRODUCT)
        return results

    return search


def _indexed(vectors: VectorFiles, factory: str) -> Search:
    """Search by one index of all vectors; on GPUs where FAISS has them and this kind of index."""
    import faiss

    size = vectors.size
    step = -(-len(vectors) // _TRAINED)
    kind, _, settings = factory.partition(";")
    try:
        index = faiss.index_factory(size, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(np.concatenate([part[-start % step :: step] for start, part in vectors.parts()]))
        for _, part in vectors.parts():
            index.add(part)
        if settings:
            faiss.ParameterSpace().set_index_parameters(index, settings)  # type: ignore[arg-type]  # its types know a number only
    except RuntimeError as error:
        raise InputError(
            f"neighbors.index: FAISS cannot index {len(vectors)} facts of {size} numbers by {factory!r} "
            f"({error}). 'Flat' serves any pool"
        ) from error
    on_gpu = _on_gpu(index)

    def search(queries: Vectors, depth: int) -> tuple[Vectors, RowNumbers]:
        results: tuple[Vectors, RowNumbers] = (on_gpu if depth <= _GPU_DEPTH else index).search(queries, depth)
        return results

    return search


def _has_gpu() -> bool:
    import faiss

    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def _on_gpu(index: Any) -> Any:
    """The index on all GPUs, or as it is where FAISS has none, or cannot put this kind there."""
    import faiss

    try:
        return faiss.index_cpu_to_all_gpus(index) if _has_gpu() else index
    except RuntimeError:
        return index
