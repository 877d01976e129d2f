"""Files of rows: JSON arrays, JSON Lines, CSV and Parquet, read with the line of each row.

A row that cannot be read is a reject and the rest is read on; a file that is something else is an InputError.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lib.core.errors import InputError
from lib.core.files import check_regular
from lib.core.records import FOUND, Reject
from lib.core.tables import parquet
from lib.data import csv_rows
from lib.data.rows import WHOLE_ROW, InputRow, Notes, RowError, shown
from lib.data.schemas import refuse_other_schema

T = TypeVar("T")
_LONGEST_BEGINNING = 60
_TOO_DEEP = "lists or records in each other, nested too deeply"
_NUL_SHARE = 0.2
"""From this share of NUL bytes on a file is of another coding: text in UTF-16 has one beside every ASCII letter."""


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """The rows of one file."""

    name: str
    columns: tuple[str, ...]
    """Every field that a row has, in the order of first use."""
    rows: tuple[InputRow, ...]
    rejects: tuple[Reject, ...]
    """The rows that could not be read."""
    notes: Notes
    """What was ignored, or taken for something else: complete once `parse` has gone through the rows."""

    @property
    def size(self) -> int:
        """How many rows there are, read or not."""
        return len(self.rows) + len(self.rejects)


def read(path: Path) -> RowFile:
    """The rows of a CSV, JSON or JSON Lines, or Parquet file, by its suffix."""
    readers = {".csv": read_csv, ".json": read_json, ".jsonl": read_jsonl, ".parquet": read_parquet}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: wanted one of {', '.join(readers)}; found the suffix {path.suffix!r}")
    return readers[path.suffix.lower()](path)


def parse(file: RowFile, make: Callable[[InputRow], T]) -> tuple[list[T], list[Reject]]:
    """What `make` returns for each row, and a reject for each row where it raises RowError or that cannot be read."""
    records: list[T] = []
    rejects = list(file.rejects)
    for row in file.rows:
        try:
            records.append(make(row))
        except RowError as error:
            rejects.append(Reject(file=file.name, line=row.line, field=error.field, reason=error.reason))
        except RecursionError:
            rejects.append(Reject(file=file.name, line=row.line, field=WHOLE_ROW, reason=_TOO_DEEP))
    if records:
        file.notes.add_ignored()
    return records, sorted(rejects, key=lambda reject: reject.line)


def read_json(path: Path, dataset: str | None = None) -> RowFile:
    """The records of a JSON array; a row's line is its 1-based position.

    `dataset` reads a schema that all others refuse (lib/data/schemas.py).
    """
    text = decoded(path)
    try:
        values = _json_values(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: wanted a JSON array of records; found something else ({error}), which begins "
            f"{text[:_LONGEST_BEGINNING]!r}. Put the published file in its place, or delete it to have it downloaded."
        ) from None
    if not isinstance(values, list):
        raise InputError(f"{path}: wanted a JSON array of records; found {shown(values)}")
    return _row_file(path, enumerate(values, start=1), Notes(), dataset=dataset)


def read_jsonl(path: Path) -> RowFile:
    """The records of a file with one JSON object a line; blank lines are no rows."""
    lines = enumerate(decoded(path).split("\n"), start=1)
    return _row_file(path, ((number, _json_value(line)) for number, line in lines if line.strip()), Notes())


def _json_value(line: str) -> Any:
    try:
        return _json_values(line)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        return RowError(WHOLE_ROW, f"wanted a JSON object{FOUND}{shown(line.strip())} ({reason})")


def _json_values(text: str) -> Any:
    return json.loads(text, parse_int=_whole_number, object_pairs_hook=_record)


@dataclass(frozen=True)
class RepeatedField:
    """What a record has twice under one name, in place of the value."""

    first: Any
    last: Any

    def __repr__(self) -> str:
        return f"the field twice, with {self.first!r} and {self.last!r}"


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; Python's own reader drops all but the last value of a name that is there several times."""
    values = dict(pairs)
    if len(values) < len(pairs):
        first: dict[str, Any] = {}
        for name, value in pairs:
            if repr(first.setdefault(name, value)) != repr(value):
                values[name] = RepeatedField(first[name], value)
    return values


@dataclass(frozen=True)
class LongNumber:
    """A whole number of more digits than Python reads, in place of the number."""

    digits: int

    def __repr__(self) -> str:
        return f"a whole number of {self.digits:,} digits"


def _whole_number(digits: str) -> int | LongNumber:
    count = len(digits.lstrip("-"))
    return int(digits) if count <= sys.get_int_max_str_digits() else LongNumber(count)


def read_csv(path: Path) -> RowFile:
    """The rows under a header of column names, separated by commas; a row's line is the one that it begins on."""
    notes = Notes()
    rows = csv_rows.rows(decoded(path), notes)
    header = next(rows, None)
    if header is None:
        raise InputError(f"{path}: empty; wanted a header of column names and a row for each fact")
    if isinstance(header[1], RowError):
        raise InputError(f"{path}: line {header[0]}: wanted a header of column names; {header[1].reason}")
    columns = [cell.strip() for cell in header[1]]
    named = [column for column in columns if column]
    if len(set(named)) < len(named) or not named:
        raise InputError(f"{path}: line {header[0]}: wanted column names, each once; found {', '.join(columns)}")
    if len(named) < len(columns):
        numbers = ", ".join(str(number) for number, column in enumerate(columns, start=1) if not column)
        notes.add(f"column {numbers} without a name (an index, as pandas writes it?) ignored")
    return _row_file(path, ((line, _named(cells, columns)) for line, cells in rows), notes, named)


def _named(cells: list[str] | RowError, columns: list[str]) -> dict[str, str] | RowError:
    if isinstance(cells, RowError):
        return cells
    if len(cells) != len(columns):
        return RowError(WHOLE_ROW, f"wanted {len(columns)} cells{FOUND}{len(cells)}")
    return {column: cell for column, cell in zip(columns, cells, strict=True) if column}


def read_parquet(path: Path) -> RowFile:
    """The rows of a Parquet file; a row's line is its 1-based position."""
    with parquet(path, "Put the whole file in its place.") as file:
        table = file.read()
        table.validate(full=True)  # a text that is not UTF-8 is told by its file
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: wanted column names, each once; found several columns {', '.join(repeated)}")
    return _row_file(path, enumerate(table.to_pylist(), start=1), Notes(), table.column_names)


def decoded(path: Path) -> str:
    """The text of a UTF-8 file, without its byte-order mark. Raises InputError where it is no regular file."""
    check_regular(path)
    data = path.read_bytes()
    if data.count(0) > _NUL_SHARE * len(data):
        raise InputError(f"{path}: wanted UTF-8; found {data.count(0):,} NUL bytes, as in UTF-16. Save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: wanted UTF-8; found the byte 0x{data[error.start]:02x} on line {line}. Save the file as UTF-8."
        ) from None


def _row_file(
    path: Path,
    values: Iterable[tuple[int, Any]],
    notes: Notes,
    columns: Iterable[str] = (),
    dataset: str | None = None,
) -> RowFile:
    rows: list[InputRow] = []
    rejects: list[Reject] = []
    for line, value in values:
        if isinstance(value, Mapping):
            rows.append(InputRow(line=line, values=value, notes=notes))
            continue
        error = value if isinstance(value, RowError) else RowError(WHOLE_ROW, f"wanted a record{FOUND}{shown(value)}")
        rejects.append(Reject(file=path.name, line=line, field=error.field, reason=error.reason))
    if not rows and not rejects:
        raise InputError(f"{path}: empty; wanted a row for each fact")
    refuse_other_schema(path, rows, dataset)
    used = dict.fromkeys((*columns, *(name for row in rows for name in row.values)))
    return RowFile(name=path.name, columns=tuple(used), rows=tuple(rows), rejects=tuple(rejects), notes=notes)
