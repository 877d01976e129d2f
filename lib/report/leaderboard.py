"""The leaderboard's CSV: one line a row of a table that was run. An empty cell was not measured.

board_tables.py shows it as Markdown and as a page, which have no numbers of their own.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.core.errors import InputError, reading
from lib.core.files import check_regular
from lib.metrics.headline import ASKED, TEACHER_FORCED, WRITTEN, Column
from lib.report import portability
from lib.report.board_columns import ABILITIES, RETENTION

FIGURES = (*WRITTEN[:2], ASKED, *WRITTEN[2:], *ABILITIES, *TEACHER_FORCED, *RETENTION, *portability.ALL_COLUMNS)
"""What a line may have, each with its interval."""
RANKED_BY = "exact_match_paraphrases"
"""Lines of a group are ordered by it, the most first: what is written where the edit is asked in other words."""
_GROUP = ("model", "dataset", "protocol", "n")
_FIRST = (*_GROUP, "row", "editor", "seeds", "verdict")
_LAST = ("seconds", "seconds_per_edit", "memory_gib", "commit", "command", "note")
_ENDING = "_ci95"
_DIGITS = 4
_REMEDY = "Restore it (`git checkout`), or write its rows again (python -m apps.table ... --csv FILE)."


@dataclass(frozen=True, kw_only=True)
class BoardFigure:
    """One number of a row."""

    value: float
    spread: float | None
    """Of one seed half of the 95 % interval, of several their standard deviation; None: it has none."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a table that was run: one line of the CSV."""

    model: str
    dataset: str
    protocol: str
    n: int
    """Edits."""
    row: str
    editor: str
    seeds: tuple[int, ...]
    verdict: str
    figures: Mapping[str, BoardFigure]
    """By the name of their column."""
    seconds: float | None
    """Of stage edit; of several seeds their mean."""
    memory_gib: float | None
    """The most that stage edit held; of several seeds the most."""
    commit: str
    """Of the code that measured it."""
    command: str
    """What runs it again."""
    note: str = ""
    """What to know before it is compared."""

    @property
    def group(self) -> tuple[str, str, str, int]:
        """What the rows of one table share: model, dataset, protocol, edits."""
        return self.model, self.dataset, self.protocol, self.n

    @property
    def standing(self) -> int:
        """0 where the verdict is safe, 1 where it took but harmed or is not known to be safe, 2 where it did not."""
        return 0 if self.verdict.startswith("safe") else 1 if self.verdict.startswith("took") else 2

    @property
    def seconds_per_edit(self) -> float | None:
        """Seconds of stage edit over edits."""
        return None if self.seconds is None else self.seconds / self.n


def read(path: Path) -> list[Entry]:
    """The lines of the CSV at `path`; none where there is no such file.

    Raises InputError naming file, line and column where a value is not what its column holds.
    """
    if not path.exists():
        return []
    check_regular(path)
    with reading(path, "a CSV of UTF-8 text", _REMEDY, csv.Error, UnicodeDecodeError):
        return parsed(path.read_text(encoding="utf-8"), path)


def parsed(text: str, path: Path) -> list[Entry]:
    """The lines of a CSV's text, that of the file at `path`. Raises as `read` does, or csv.Error."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = {*_FIRST, *_LAST, *(name for figure in FIGURES for name in (figure.name, figure.name + _ENDING))}
    names = list(reader.fieldnames or ())
    if wrong := [*({*_FIRST, *_LAST} - {*names}), *(name for name in names if name not in columns)]:
        raise InputError(f"{path}: wanted the columns {', '.join((*_FIRST, *_LAST))} and figures of "
                         f"metrics/evaluate.json; found {wrong[0]!r} missing or unknown. {_REMEDY}")  # fmt: skip
    return [_entry(values, f"{path}:{reader.line_num}") for values in reader]


def written(entries: Sequence[Entry]) -> str:
    """The text of the CSV: the columns of figures are those that a line has."""
    figures = measured(entries)
    names = [*_FIRST, *(name for figure in figures for name in (figure.name, figure.name + _ENDING)), *_LAST]
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_cells, entries))
    return stream.getvalue()


def merged(entries: Sequence[Entry], new: Iterable[Entry]) -> list[Entry]:
    """`entries` with the new ones in place of those of the same group, row and seeds, else behind them."""
    lines = {(*entry.group, entry.row, entry.seeds): entry for entry in entries}
    lines |= {(*entry.group, entry.row, entry.seeds): entry for entry in new}
    return list(lines.values())


def groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The lines of each table, the best first (`_rank`); tables stand in the order of their first lines."""
    by_group: dict[tuple[str, str, str, int], list[Entry]] = {}
    for entry in entries:
        by_group.setdefault(entry.group, []).append(entry)
    return [sorted(lines, key=_rank) for lines in by_group.values()]


def measured(entries: Sequence[Entry]) -> list[Column]:
    """The columns that a line of these has."""
    return [figure for figure in FIGURES if any(figure.name in entry.figures for entry in entries)]


def _rank(entry: Entry) -> tuple[int, float]:
    """What is safe first, then what took, then the others; in each by what is written in other words."""
    figure = entry.figures.get(RANKED_BY)
    return entry.standing, 1.0 if figure is None else -figure.value  # a line without it stands behind those at 0


def _cells(entry: Entry) -> dict[str, Any]:
    """The line of an entry."""
    values: dict[str, Any] = {name: getattr(entry, name) for name in (*_FIRST, *_LAST)}
    values["seeds"] = " ".join(map(str, entry.seeds))
    for name, figure in entry.figures.items():
        values |= {name: figure.value, name + _ENDING: figure.spread}
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in values.items()}


def _entry(values: Mapping[str | None, Any], where: str) -> Entry:
    if None in values or None in values.values():
        raise InputError(f"{where}: wanted as many cells as the header has; found more or fewer. {_REMEDY}")
    texts: dict[str, str] = {str(name): text for name, text in values.items()}
    figures = {
        head.name: BoardFigure(value=value, spread=_number(texts, head.name + _ENDING, where))
        for head in FIGURES
        if (value := _number(texts, head.name, where)) is not None
    }
    try:
        n, seeds = int(texts["n"]), tuple(map(int, texts["seeds"].split()))
    except ValueError:
        raise InputError(f"{where}: wanted whole numbers in n and seeds; found {texts['n']!r} and {texts['seeds']!r}. "
                         f"{_REMEDY}") from None  # fmt: skip
    if n < 1 or not seeds:
        raise InputError(f"{where}: wanted at least one edit and one seed; found {texts['n']!r} and {texts['seeds']!r}")
    words = {name: texts[name] for name in ("model", "dataset", "protocol", "row", "editor", "verdict", "commit",
                                            "command", "note")}  # fmt: skip
    return Entry(
        n=n,
        seeds=seeds,
        figures=figures,
        seconds=_number(texts, "seconds", where),
        memory_gib=_number(texts, "memory_gib", where),
        **words,
    )


def _number(texts: Mapping[str, str], name: str, where: str) -> float | None:
    """The number in a cell; None where it is empty or the CSV has no such column."""
    if not (text := texts.get(name, "")):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: wanted a number or nothing in {name}; found {text!r}. {_REMEDY}")
    return value
