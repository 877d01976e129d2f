"""Records in Parquet: their schema, how they are read and written, whole or in parts for tables beyond memory.

The schema is checked both ways, so that a file written by another version, or by hand, is refused with the column that
differs rather than read wrongly.
"""

import dataclasses
import functools
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints, overload

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.core.errors import InputError, reading
from lib.core.files import REPRODUCE, check_regular, replacing

RowNumbers = npt.NDArray[np.int64]
R = TypeVar("R")
_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError, pl.exceptions.PolarsError)
_STREAMED_ROWS = 65_536
_RECORDS = 1_024
"""Rows held at a time, as columns and as records: bounds memory, not the result."""


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """A Parquet file of records of class `kind`, as `write` writes it, of which only parts are ever held."""

    path: Path
    kind: type

    def __len__(self) -> int:
        """How many rows it has."""
        with parquet(self.path) as file:
            return int(file.metadata.num_rows)

    def parts(self, *columns: str) -> Iterator[tuple[int, pl.DataFrame]]:
        """All rows of these columns in order, each part with the place of its first row.

        Raises InputError where the file is no table of `kind`.
        """
        with parquet(self.path) as file:
            check_schema(self.path, file.schema_arrow, self.kind)
            start = 0
            for batch in file.iter_batches(batch_size=_STREAMED_ROWS, columns=list(columns)):
                batch.validate(full=True)  # as in `frame`
                part = pl.DataFrame(pa.Table.from_batches([batch]).select(list(columns)))
                yield start, part
                start += part.height

    def take(self, rows: RowNumbers, *columns: str) -> pl.DataFrame:
        """These columns of these rows, in the order of `rows` [m], in which a row may occur again."""
        numbers, inverse = np.unique(rows, return_inverse=True)
        parts = []
        for start, part in self.parts(*columns):
            first, last = np.searchsorted(numbers, (start, start + part.height))
            parts.append(part[numbers[first:last] - start])
        return pl.concat(parts)[inverse] if parts else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def write_parts(path: Path, kind: type, parts: Iterable[pl.DataFrame]) -> int:
    """Write a table of `kind` from parts that have its columns, whole or not at all; return its number of rows."""
    rows = 0
    with replacing(path) as unfinished, pq.ParquetWriter(unfinished, schema(kind), compression="zstd") as writer:
        for part in parts:
            writer.write_table(part.select(schema(kind).names).to_arrow().cast(schema(kind)))
            rows += part.height
    return rows


@contextmanager
def parquet(path: Path, remedy: str = REPRODUCE) -> Iterator[pq.ParquetFile]:
    """A Parquet file to read from. Raises InputError with `remedy`, a sentence, where it is damaged or no file."""
    check_regular(path)
    with reading(path, "a Parquet file", remedy, *_DAMAGE), pq.ParquetFile(path) as file:
        yield file


def frame(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of a Parquet file, or these columns of it. Raises InputError where the file is damaged."""
    with parquet(path) as file:
        table = file.read(columns=None if columns is None else list(columns))
        table.validate(full=True)  # of texts that are not UTF-8 polars does not say so
        return pl.DataFrame(table)


def csv_frame(path: Path) -> pl.DataFrame:
    """The table of a CSV file that a stage wrote. Raises InputError where the file is damaged."""
    check_regular(path)
    with reading(path, "a CSV table", REPRODUCE, *_DAMAGE):
        return pl.read_csv(path)


def scanned(path: Path) -> pl.LazyFrame:
    """The table of a Parquet file, of which only what is asked for is held.

    It is gone through once before, so that a damaged file raises InputError here and not where it is collected.
    """
    with parquet(path) as file:
        for batch in file.iter_batches(batch_size=_STREAMED_ROWS):
            batch.validate(full=True)
    return pl.scan_parquet(path)


def schema(kind: type) -> pa.Schema:
    """The Parquet schema that the fields of a record class declare."""
    hints = get_type_hints(kind)
    return pa.schema([_column(field.name, hints[field.name]) for field in dataclasses.fields(kind)])


def write(path: Path, kind: type[R], rows: Iterable[R]) -> int:
    """Write `rows` to a Parquet file, whole or not at all; return how many there were.

    A sparse column (records.SPARSE) that is empty in every row is left out. Raises pyarrow.ArrowInvalid or
    ArrowTypeError where a row does not fit the schema.
    """
    table = pa.Table.from_pylist([dataclasses.asdict(cast(Any, row)) for row in rows], schema=schema(kind))
    table = table.drop_columns([name for name in _sparse(kind) if not any(table[name].to_pylist())])
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
    return int(table.num_rows)


def read(path: Path, kind: type[R]) -> list[R]:
    """Read every row of a Parquet file written by `write`.

    Raises InputError naming the file and the columns where its schema is another one.
    """
    with parquet(path) as file:
        table = file.read()
        check_schema(path, table.schema, kind)
        rows = table.to_pylist()
    return [from_plain(kind, row) for row in rows]


def check_schema(path: Path, actual: pa.Schema, kind: type) -> None:
    """Raise InputError naming the file and the columns that differ from what the fields of `kind` declare."""
    absent = _sparse(kind) - {*actual.names}
    expected = pa.schema([column for column in schema(kind) if column.name not in absent])
    if not actual.equals(expected):
        declared, stored = _described(expected), _described(actual)
        raise InputError(
            f"{path}: not a table of {kind.__name__}: wanted but absent or of another type: "
            f"{sorted(declared - stored) or 'none'}; found instead: {sorted(stored - declared) or 'none'}. "
            "Run the stage that writes it again (dvc repro)."
        )


def from_plain(kind: type[R], values: Mapping[str, Any]) -> R:
    """The record with these fields as plain lists and dictionaries, as dataclasses.asdict or JSON give them."""
    nested = _nested_fields(cast(Any, kind))
    return kind(**{name: _value(value, nested.get(name)) for name, value in values.items()})


@functools.cache
def _nested_fields(kind: type) -> dict[str, type[Any]]:
    return {name: inner for name, hint in get_type_hints(kind).items() if (inner := _nested(hint))}


def _sparse(kind: type) -> set[str]:
    """The fields whose column is left out where no row has anything in it."""
    return {field.name for field in dataclasses.fields(kind) if field.metadata.get("sparse")}


def _column(name: str, hint: Any) -> pa.Field:
    required = _without_none(hint)
    return pa.field(name, _arrow_type(required), nullable=required is not hint)


def _without_none(hint: Any) -> Any:
    """The type of a field's values but None; `hint` itself where it does not allow None."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    (required,) = (member for member in get_args(hint) if member is not type(None))
    return required


def _arrow_type(hint: Any) -> pa.DataType:
    if get_origin(hint) is Literal or hint is str:
        return pa.string()
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(get_args(hint)[0]))
    if dataclasses.is_dataclass(hint):
        return pa.struct([(field.name, _arrow_type(_without_none(field.type))) for field in dataclasses.fields(hint)])
    return {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}[hint]


def _nested(hint: Any) -> type[Any] | None:
    inner = get_args(hint)[0] if get_origin(hint) is tuple else None
    return inner if isinstance(inner, type) and dataclasses.is_dataclass(inner) else None


def _value(value: Any, nested: type[Any] | None) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple(from_plain(nested, fields) for fields in value) if nested else tuple(value)


def _described(columns: pa.Schema) -> set[str]:
    return {f"{field.name}: {field.type}{'' if field.nullable else ' not null'}" for field in columns}


@dataclass(frozen=True)
class Stored(Sequence[R], Generic[R]):
    """The records of class `kind` in a Parquet file, as `read` gives them.

    Going through them holds a part of them at a time. Asking for one by its place, as few do, reads and keeps them all.
    Raises InputError where the file is of another kind.
    """

    path: Path
    kind: type[R]

    def __len__(self) -> int:
        with parquet(self.path) as file:
            return int(file.metadata.num_rows)

    def __iter__(self) -> Iterator[R]:
        with parquet(self.path) as file:
            check_schema(self.path, file.schema_arrow, self.kind)
            for batch in file.iter_batches(batch_size=_RECORDS):
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
