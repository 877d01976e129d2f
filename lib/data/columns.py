"""Column names as people write them: `Prompt`, `target new`, `target-true` are read; what nobody asks for is ignored.

A name that is nearly one of the columns is an error all the same: ignored, it would take its cells with it.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lib.core.errors import InputError
from lib.data.files import RowFile

_BETWEEN_WORDS = re.compile(r"[\s\-.]+")
_MISSPELT = 0.84
"""From this likeness on (difflib) a name of as many words is taken for a misspelt one."""


def with_columns(file: RowFile, columns: Sequence[str], required: Sequence[str], path: Path) -> RowFile:
    """The file with its fields called as in `columns`, others left out; both are noted.

    Raises InputError where a required column is absent, two are the same one, or one seems misspelt.
    """
    names = {name: _known(name, columns) for name in file.columns}
    _check(names, columns, required, path)
    for name in file.columns:  # those that are ignored are noted here, as columns
        file.notes.read(name)
    for name, column in names.items():
        if column is not None and name != column:
            file.notes.add(f"column {name!r} read as {column}")
    if ignored := [repr(name) for name, column in names.items() if column is None]:
        file.notes.add(f"column{'s' if len(ignored) > 1 else ''} {', '.join(ignored)} ignored")
    rows = tuple(
        replace(
            row, values={column: row.values[name] for name, column in names.items() if column and name in row.values}
        )
        for row in file.rows
    )
    return replace(file, columns=tuple(column for column in names.values() if column), rows=rows)


def _known(name: str, columns: Sequence[str]) -> str | None:
    """The column that is meant by `name`, whatever its case, and with white space or hyphens for underscores."""
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return next((column for column in columns if column == _BETWEEN_WORDS.sub("_", visible.strip()).casefold()), None)


def _check(names: dict[str, str | None], columns: Sequence[str], required: Sequence[str], path: Path) -> None:
    read = [column for column in names.values() if column is not None]
    missing = [name for name in required if name not in read]
    twice = [name for name, column in names.items() if column is not None and read.count(column) > 1]
    misspelt = {
        name: meant for name, column in names.items() if column is None and (meant := _meant(name, columns, read))
    }
    if not names or not (
        missing or twice or misspelt
    ):  # without a readable row there are no names: the rejects tell more
        return
    unknown = [
        f"{name!r}{f'. Did you mean {misspelt[name]!r}?' if name in misspelt else ''}"
        for name, column in names.items()
        if column is None
    ]
    raise InputError(
        f"{path}: wanted the columns {', '.join(required)} and, if you like, {', '.join(columns[len(required) :])}; "
        f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}; "
        f"the same one twice: {', '.join(twice) or 'none'}. "
        "A CSV file has the names in its first line, separated by commas."
    )


def _meant(name: str, columns: Sequence[str], read: Sequence[str]) -> str | None:
    """The column, absent otherwise, that `name` seems to be misspelt for."""
    words = _BETWEEN_WORDS.sub("_", name.strip()).casefold()
    absent = [column for column in columns if column not in read and column.count("_") == words.count("_")]
    return next(iter(difflib.get_close_matches(words, absent, n=1, cutoff=_MISSPELT)), None)
