"""The leaderboard: a CSV with one line a row of a table, and the Markdown tables and the page that are made from it.

The CSV holds the numbers; docs/leaderboard.md and docs/leaderboard.html show them and have none of their own. An empty
cell was not measured.
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
from lib.metrics.comparison import LOWER_IS_BETTER
from lib.metrics.headline import ASKED, TEACHER_FORCED, WRITTEN, Column
from lib.report import portability
from lib.report.board_columns import ABILITIES, RETENTION
from lib.report.headline import table_title
from lib.report.literal import in_markdown
from lib.report.pages import render
from lib.report.wording import column, number

FIGURES = (*WRITTEN[:2], ASKED, *WRITTEN[2:], *ABILITIES, *TEACHER_FORCED, *RETENTION, *portability.ALL_COLUMNS)
"""What a line may have, each with its interval."""
RANKED_BY = "exact_match_paraphrases"
"""Lines of a group are ordered by it, the most first: what is written where the edit is asked in other words."""
BEGIN, END = "<!-- made from leaderboard.csv: python -m apps.leaderboard -->", "<!-- end of leaderboard.csv -->"
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
    figures = _measured(entries)
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


def tables(entries: Sequence[Entry]) -> str:
    """A Markdown table for each group under its name; the columns are those that a line of the group has."""
    return "\n\n".join(_table(lines) for lines in groups(entries))


def with_tables(text: str, entries: Sequence[Entry], where: str) -> str:
    """The Markdown `text` with the tables between BEGIN and END. Raises InputError naming `where` without the two."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"{where}: wanted the lines {BEGIN!r} and {END!r}, between which the tables go; found no such")
    return f"{before}{begin}\n\n{tables(entries)}\n\n{end}{after}"


def page(entries: Sequence[Entry]) -> str:
    """The page: a table for each group, with its own columns, whose headings sort it where JavaScript runs."""
    boards = [
        {
            "title": _title(lines),
            "heads": [(head, table_title(head), _best_first(head)) for head in _measured(lines)],
            "lines": lines,
        }
        for lines in groups(entries)
    ]
    return render("leaderboard.html.j2", scripts=("page.js", "sort.js"), boards=boards)


def _title(lines: Sequence[Entry]) -> str:
    model, dataset, protocol, n = lines[0].group
    return f"{model}, {dataset}, {protocol}, {n:,} edits"


def _measured(entries: Sequence[Entry]) -> list[Column]:
    return [figure for figure in FIGURES if any(figure.name in entry.figures for entry in entries)]


def _best_first(head: Column) -> str:
    """The order in which the best line of a column stands on top."""
    return "ascending" if head.unit != "percent" or head.name in LOWER_IS_BETTER else "descending"


def _rank(entry: Entry) -> tuple[int, float]:
    """What is safe first, then what took, then the others; in each by what is written in other words."""
    verdict = 0 if entry.verdict.startswith("safe") else 1 if entry.verdict.startswith("took") else 2
    figure = entry.figures.get(RANKED_BY)
    return verdict, 1.0 if figure is None else -figure.value  # a line without it stands behind those at 0


def _table(lines: Sequence[Entry]) -> str:
    heads = _measured(lines)
    rows = [["row", "seeds", "verdict", *map(table_title, heads), "stage edit, s", "s an edit", "memory, GiB", "commit",
             "note"]]  # fmt: skip
    rows += [
        [in_markdown(entry.row), _seeds(entry), entry.verdict, *(_shown(entry, head) for head in heads), *_costs(entry),
         entry.commit, in_markdown(entry.note)]
        for entry in lines
    ]  # fmt: skip
    text = [f"| {' | '.join(row)} |" for row in rows]
    text.insert(1, f"|{'---|' * len(rows[0])}")
    return "\n".join([f"**{_title(lines)}**", "", *text])


def _shown(entry: Entry, head: Column) -> str:
    figure = entry.figures.get(head.name)
    return "" if figure is None else column(figure.value, figure.spread, head.unit)


def _costs(entry: Entry) -> list[str]:
    """Seconds, seconds an edit and GiB, as far as they are known."""
    costs = (entry.seconds, entry.seconds_per_edit, entry.memory_gib)
    return ["" if cost is None else number(cost) for cost in costs]


def _seeds(entry: Entry) -> str:
    return " ".join(map(str, entry.seeds))


def _cells(entry: Entry) -> dict[str, Any]:
    """The line of an entry."""
    values: dict[str, Any] = {name: getattr(entry, name) for name in (*_FIRST, *_LAST)}
    values["seeds"] = _seeds(entry)
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
