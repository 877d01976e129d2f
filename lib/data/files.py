"""Files of rows: JSON arrays, JSON Lines, CSV and Parquet, read with the line of each row.

A row that cannot be read is a reject and the rest is read on; a file that is something else is an InputError.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lib.core.errors import InputError
from lib.core.records import FOUND, Reject
from lib.core.tables import parquet
from lib.data.rows import WHOLE_ROW, InputRow, RowError, shown

T = TypeVar("T")
_LONGEST_BEGINNING = 60


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """The rows of one file."""

    name: str
    columns: tuple[str, ...]
    """Every field that a row has, in the order of first use."""
    rows: tuple[InputRow, ...]
    rejects: tuple[Reject, ...]
    """The rows that could not be read."""

    @property
    def size(self) -> int:
        """How many rows there are, read or not."""
        return len(self.rows) + len(self.rejects)


def read(path: Path) -> RowFile:
    """The rows of a CSV, JSON Lines or Parquet file, by its suffix."""
    readers = {".csv": read_csv, ".jsonl": read_jsonl, ".parquet": read_parquet}
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
    return records, sorted(rejects, key=lambda reject: reject.line)


def read_json(path: Path) -> RowFile:
    """The records of a JSON array; a row's line is its 1-based position."""
    text = decoded(path)
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: wanted a JSON array of records; found something else ({error}), which begins "
            f"{text[:_LONGEST_BEGINNING]!r}. Put the published file in its place, or delete it to have it downloaded."
        ) from None
    if not isinstance(values, list):
        raise InputError(f"{path}: wanted a JSON array of records; found {shown(values)}")
    return _row_file(path, enumerate(values, start=1))


def read_jsonl(path: Path) -> RowFile:
    """The records of a file with one JSON object a line; blank lines are no rows."""
    lines = enumerate(decoded(path).split("\n"), start=1)
    return _row_file(path, ((number, _json_value(line)) for number, line in lines if line.strip()))


def _json_value(line: str) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        return RowError(WHOLE_ROW, f"wanted a JSON object{FOUND}{shown(line.strip())} ({reason})")


def read_csv(path: Path) -> RowFile:
    """The rows under a header of column names, separated by commas; a row's line is the one that it begins on."""
    rows = _csv_rows(decoded(path))
    header = next(rows, None)
    if header is None:
        raise InputError(f"{path}: empty; wanted a header of column names and a row for each fact")
    if isinstance(header[1], RowError):
        raise InputError(f"{path}: line {header[0]}: wanted a header of column names; {header[1].reason}")
    columns = [cell.strip() for cell in header[1]]
    if len(set(columns)) < len(columns) or "" in columns:
        raise InputError(f"{path}: line {header[0]}: wanted column names, each once; found {', '.join(columns)}")
    return _row_file(path, ((line, _named(cells, columns)) for line, cells in rows), columns)


def _csv_rows(text: str) -> Iterator[tuple[int, list[str] | RowError]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, RowError(WHOLE_ROW, f"not CSV{FOUND}{error} (lines {line} to {reader.line_num})")
            continue
        if cells:
            yield line, cells


def _named(cells: list[str] | RowError, columns: list[str]) -> dict[str, str] | RowError:
    if isinstance(cells, RowError):
        return cells
    if len(cells) != len(columns):
        return RowError(WHOLE_ROW, f"wanted {len(columns)} cells{FOUND}{len(cells)}")
    return dict(zip(columns, cells, strict=True))


def read_parquet(path: Path) -> RowFile:
    """The rows of a Parquet file; a row's line is its 1-based position."""
    with parquet(path, "Put the whole file in its place.") as file:
        table = file.read()
    return _row_file(path, enumerate(table.to_pylist(), start=1), table.column_names)


def decoded(path: Path) -> str:
    """The text of a UTF-8 file, without its byte-order mark."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: wanted UTF-8; found the byte 0x{data[error.start]:02x} on line {line}. Save the file as UTF-8."
        ) from None


def _row_file(path: Path, values: Iterable[tuple[int, Any]], columns: Iterable[str] = ()) -> RowFile:
    rows: list[InputRow] = []
    rejects: list[Reject] = []
    for line, value in values:
        if isinstance(value, Mapping):
            rows.append(InputRow(line=line, values=value))
            continue
        error = value if isinstance(value, RowError) else RowError(WHOLE_ROW, f"wanted a record{FOUND}{shown(value)}")
        rejects.append(Reject(file=path.name, line=line, field=error.field, reason=error.reason))
    if not rows and not rejects:
        raise InputError(f"{path}: empty; wanted a row for each fact")
    used = dict.fromkeys((*columns, *(name for row in rows for name in row.values)))
    return RowFile(name=path.name, columns=tuple(used), rows=tuple(rows), rejects=tuple(rejects))
