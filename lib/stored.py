"""A table of records that stays in its file: read a part at a time each time it is gone through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar, overload

import pyarrow.parquet as pq

from lib.records import check_schema, from_plain, read

R = TypeVar("R")
_PART = 1_024
"""Rows held at a time: bounds memory, not the result."""


@dataclass(frozen=True)
class Stored(Sequence[R], Generic[R]):
    """The records of class `kind` in a Parquet file, as lib.records.read gives them.

    Going through them holds a part of them at a time. Asking for one by its place, as few do, reads and keeps them all.
    Raises ValueError where the file is of another kind.
    """

    path: Path
    kind: type[R]

    def __len__(self) -> int:
        return int(pq.read_metadata(self.path).num_rows)

    def __iter__(self) -> Iterator[R]:
        with pq.ParquetFile(self.path) as file:
            check_schema(self.path, file.schema_arrow, self.kind)
            for batch in file.iter_batches(batch_size=_PART):
                for row in batch.to_pylist():
                    yield from_plain(self.kind, row)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...
    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        return self._all[index]

    @cached_property
    def _all(self) -> list[R]:
        return read(self.path, self.kind)
