"""Tables of records that are too large to hold: read and written a part at a time."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.records import check_schema, schema

Rows = npt.NDArray[np.int64]

_PART = 65_536
"""Rows held at a time: bounds memory, not the result."""


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """A Parquet file of records of class `kind`, as records.write writes it, of which only parts are ever held."""

    path: Path
    kind: type

    def __len__(self) -> int:
        """How many rows it has."""
        return int(pq.ParquetFile(self.path).metadata.num_rows)

    def parts(self, *columns: str) -> Iterator[tuple[int, pl.DataFrame]]:
        """All rows of these columns in order, each part with the place of its first row.

        Raises ValueError where the file is no table of `kind`.
        """
        with pq.ParquetFile(self.path) as file:
            check_schema(self.path, file.schema_arrow, self.kind)
            start = 0
            for batch in file.iter_batches(batch_size=_PART, columns=list(columns)):
                part = pl.DataFrame(pa.Table.from_batches([batch]).select(list(columns)))
                yield start, part
                start += part.height

    def take(self, rows: Rows, *columns: str) -> pl.DataFrame:
        """These columns of these rows, in the order of `rows` [m], in which a row may occur again."""
        wanted, places = np.unique(rows, return_inverse=True)
        found = []
        for start, part in self.parts(*columns):
            first, last = np.searchsorted(wanted, (start, start + part.height))
            found.append(part[wanted[first:last] - start])
        return pl.concat(found)[places] if found else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def write_parts(path: Path, kind: type, parts: Iterable[pl.DataFrame]) -> int:
    """Write a table of `kind` from parts that have its columns, whole or not at all; return its number of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    rows = 0
    with pq.ParquetWriter(unfinished, schema(kind), compression="zstd") as writer:
        for part in parts:
            writer.write_table(part.select(schema(kind).names).to_arrow().cast(schema(kind)))
            rows += part.height
    os.replace(unfinished, path)
    return rows
