"""CSV read with the lines of each row, and with an eye on quotes that were never meant to open a cell.

A stray quote at the beginning of a cell makes one cell of everything up to the next quote: rows vanish without an
error. Where the lines that a row runs over look like rows of their own, all of them are errors.
"""

import csv
import io
import re
from collections.abc import Iterator

from lib.core.records import FOUND
from lib.data.rows import WHOLE_ROW, Notes, RowError

_LINE_END = re.compile(r"\r\n|\r|\n")
"""What csv takes for the end of a line."""


def rows(text: str, notes: Notes, delimiter: str = ",") -> Iterator[tuple[int, list[str] | RowError]]:
    """The rows of a CSV text, header first, with the line that each begins on; blank lines are no rows.

    Of a damaged row every line is an error, and reading goes on after it. A row that runs over several lines is noted.
    """
    lines = _LINE_END.split(text)
    columns = _columns(text, delimiter)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"not CSV{FOUND}{error}"
        else:
            if reader.line_num == first or not _looks_merged(lines[first - 1 : reader.line_num], columns, delimiter):
                if reader.line_num > first:
                    notes.add("a row runs over several lines", first)
                if cells:
                    yield first, cells
                continue
            reason = f"wanted a quote that is closed in its cell{FOUND}one that makes one row of several"
        numbers = [number for number in range(first, reader.line_num + 1) if lines[number - 1].strip()]
        for number in numbers:
            yield number, RowError(WHOLE_ROW, f"{reason} (lines {first} to {reader.line_num})")


def _columns(text: str, delimiter: str) -> int:
    """How many cells the header has."""
    try:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []))
    except csv.Error:  # told with the header's row
        return 1


def _looks_merged(lines: list[str], columns: int, delimiter: str) -> bool:
    """Whether every one of a row's lines has delimiters enough to be a row by itself."""
    return columns > 1 and all(line.count(delimiter) >= columns - 1 for line in lines if line.strip())
