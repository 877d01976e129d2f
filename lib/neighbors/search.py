"""Nearest vectors among more than memory holds: vectors in files, searched exactly part by part, or by a FAISS index.

Whatever searches, the similarities that decide are inner products in float64, rounded, so that neither the index nor
the device nor the size of the parts changes a result of an exact search.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.core.errors import InputError
from lib.core.tables import Rows
from lib.neighbors.encoders import Encoder, Vectors

FLAT = "Flat"

Search = Callable[[Vectors, int], tuple[Vectors, Rows]]
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

    rows: Rows
    """[q, n]; -1 where fewer were found."""
    similarities: npt.NDArray[np.float64]
    """[q, n]; -inf where fewer were found."""


@dataclass(frozen=True)
class Stored:
    """Unit vectors in files of a folder."""

    files: tuple[Path, ...]
    starts: tuple[int, ...] = field(init=False)
    """The row that each file begins with, and the number of rows."""

    def __post_init__(self) -> None:
        sizes = [len(np.load(one, mmap_mode="r")) for one in self.files]
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

    def take(self, rows: Rows) -> Vectors:
        """The vectors [m, d] of `rows` [m]."""
        of = np.searchsorted(self.starts, rows, side="right") - 1
        found: Vectors = np.empty((len(rows), self.size), dtype=np.float32)
        for file in np.unique(of):
            mapped = np.load(self.files[file], mmap_mode="r")
            found[of == file] = mapped[rows[of == file] - self.starts[file]]
        return found


def embed(texts: Iterable[Sequence[str]], encoder: Encoder, folder: Path) -> Stored:
    """Encode each part of the texts into a file of its own in `folder`; a file that is there already is kept."""
    files = []
    for number, part in enumerate(texts):
        file = folder / f"vectors-{number:05d}.npy"
        if not file.is_file():
            unfinished = folder / f".{file.name}.unfinished"
            with unfinished.open("wb") as stream:
                np.save(stream, encoder.encode(part))
            os.replace(unfinished, file)
        files.append(file)
    return Stored(tuple(files))


def nearest(stored: Stored, queries: Vectors, n: int, index: str) -> Nearest:
    """The `n` vectors nearest to each of `queries` [q, d] by inner product.

    `index` is a FAISS factory string, which may go on with search parameters (`IVF1024,Flat;nprobe=32`). `Flat` is
    exact and holds a file of vectors at a time; any other index is held whole, and may miss vectors, or find fewer.
    Raises InputError where FAISS cannot make, train or set up such an index.
    """
    best = _Best(queries, min(n, len(stored)))
    if index == FLAT:
        for start, part in stored.parts():
            if np.count_nonzero(part) <= _SPARSE * part.size:
                best.meet_sparse(part, start)
                continue
            best.meet(_flat(part), len(part), lambda rows, part=part: part[rows], start)  # type: ignore[misc]
    else:
        best.meet(_indexed(stored, index), len(stored), stored.take, 0)
    return best.found()


class _Best:
    """The best vectors so far of each query."""

    def __init__(self, queries: Vectors, n: int) -> None:
        self._queries, self._n = queries, n
        self._rows = np.full((len(queries), n), -1, dtype=np.int64)
        self._similarities = np.full((len(queries), n), -np.inf)

    def found(self) -> Nearest:
        return Nearest(rows=self._rows, similarities=self._similarities)

    def meet(self, search: Search, size: int, vectors: Callable[[Rows], Vectors], start: int) -> None:
        """Compare with `size` further vectors, whose rows count from `start`; `vectors` gives those of rows from 0."""
        for begin in range(0, len(self._queries), _BATCH):
            places = np.arange(begin, min(begin + _BATCH, len(self._queries)))
            for some, candidates in self._candidates(search, size, places, self._n + _SPARE):
                self._improve(some, candidates, vectors, start)

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
            of, rows = np.nonzero(np.ascontiguousarray(better.T))
            places, firsts = np.unique(of, return_index=True)
            for place, some in zip(places.tolist(), np.split(rows, firsts[1:]), strict=False):
                self._merge(begin + place, some + start, np.round(products[some, place], _DECIMALS))

    def _candidates(self, search: Search, size: int, places: Rows, depth: int) -> Iterator[tuple[Rows, list[Rows]]]:
        """For each query in `places`, all rows that may be among its best; queries come in groups.

        `depth` nearest are looked at; where what may be better, or as good as the last, does not end there, more are.
        """
        depth = min(depth, size)
        similarities, rows = search(self._queries[places], depth)
        least = similarities[:, min(self._n, depth) - 1]
        least = np.maximum(least, self._similarities[places, -1]) - _ROUNDING
        open_ended = (similarities[:, -1] >= least) & (rows[:, -1] >= 0) & (depth < size)
        closed = np.flatnonzero(~open_ended)
        within = (similarities >= least[:, None]) & (rows >= 0)
        yield places[closed], [rows[place][within[place]] for place in closed]
        tied = places[open_ended]
        group = max(1, _RESULTS // (_DEEPER * depth))
        for begin in range(0, len(tied), group):
            yield from self._candidates(search, size, tied[begin : begin + group], _DEEPER * depth)

    def _improve(
        self, places: Rows, candidates: Sequence[Rows], vectors: Callable[[Rows], Vectors], start: int
    ) -> None:
        """Take the candidates that are better than what each query has."""
        for group in _groups(places, candidates):
            found = vectors(np.concatenate([rows for _, rows in group]))
            begin = 0
            for place, rows in group:
                self._merge(place, rows + start, _cosines(found[begin : begin + len(rows)], self._queries[place]))
                begin += len(rows)

    def _merge(self, place: int, rows: Rows, similarities: npt.NDArray[np.float64]) -> None:
        rows = np.concatenate([self._rows[place], rows])
        similarities = np.concatenate([self._similarities[place], similarities])
        order = np.lexsort((rows, -similarities))[: self._n]
        self._rows[place], self._similarities[place] = rows[order], similarities[order]


def _groups(places: Rows, candidates: Sequence[Rows]) -> Iterator[list[tuple[int, Rows]]]:
    """Queries with their candidates, such that no group has many more than _GATHERED candidates."""
    group: list[tuple[int, Rows]] = []
    held = 0
    for place, rows in zip(places.tolist(), candidates, strict=True):
        for begin in range(0, len(rows), _GATHERED):
            group.append((place, rows[begin : begin + _GATHERED]))
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

    def search(queries: Vectors, depth: int) -> tuple[Vectors, Rows]:
        if _has_gpu() and depth <= _GPU_DEPTH:
            found: tuple[Vectors, Rows] = faiss.knn_gpu(
                faiss.StandardGpuResources(), queries, part, depth, metric=faiss.METRIC_INNER_PRODUCT
            )
        else:
            found = faiss.knn(queries, part, depth, metric=faiss.METRIC_INNER_PRODUCT)
        return found

    return search


def _indexed(stored: Stored, factory: str) -> Search:
    """Search by one index of all vectors; on GPUs where FAISS has them and this kind of index."""
    import faiss

    size = stored.size
    step = -(-len(stored) // _TRAINED)
    kind, _, settings = factory.partition(";")
    try:
        index = faiss.index_factory(size, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(np.concatenate([part[-start % step :: step] for start, part in stored.parts()]))
        for _, part in stored.parts():
            index.add(part)
        if settings:
            faiss.ParameterSpace().set_index_parameters(index, settings)  # type: ignore[arg-type]  # its types know a number only
    except RuntimeError as error:
        raise InputError(
            f"neighbors.index: FAISS cannot index {len(stored)} facts of {size} numbers by {factory!r} "
            f"({error}). 'Flat' serves any pool"
        ) from error
    on_gpu = _on_gpu(index)

    def search(queries: Vectors, depth: int) -> tuple[Vectors, Rows]:
        found: tuple[Vectors, Rows] = (on_gpu if depth <= _GPU_DEPTH else index).search(queries, depth)
        return found

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
