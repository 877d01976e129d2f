"""The leaderboard at a glance: a line a row, a column a table, and what the two say of each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.report.leaderboard import RANKED_BY, Entry, groups

SHOWN = (RANKED_BY, "unchanged")
"""What a cell has of its row: what is written in other words, and what other answers are as they were."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All tables of one model."""

    model: str
    titles: tuple[str, ...]
    """Of the tables: dataset, edits, protocol."""
    lines: tuple[tuple[str, tuple[Entry | None, ...]], ...]
    """The name of a row, and its line of every table; None: it was not run there."""


def overviews(entries: Sequence[Entry]) -> list[Overview]:
    """One for each model, in the order of their first lines."""
    return [_overview(model, entries) for model in dict.fromkeys(entry.model for entry in entries)]


def pair(entry: Entry) -> str:
    """A cell: both of SHOWN as whole percent; a dash stands for what was not measured."""
    figures = (entry.figures.get(name) for name in SHOWN)
    return " / ".join("\N{EN DASH}" if figure is None else f"{figure.value:.0f}" for figure in figures)


def _overview(model: str, entries: Sequence[Entry]) -> Overview:
    tables = sorted((lines for lines in groups(entries) if lines[0].model == model), key=lambda lines: lines[0].group)
    names = dict.fromkeys(entry.row for lines in tables for entry in lines)
    # a row that was run with several numbers of seeds stands with the most
    by_row = [{entry.row: entry for entry in sorted(lines, key=lambda entry: len(entry.seeds))} for lines in tables]
    lines = [(name, tuple(table.get(name) for table in by_row)) for name in names]
    return Overview(
        model=model,
        titles=tuple(f"{table[0].dataset}, {table[0].n:,} edits, {table[0].protocol}" for table in tables),
        lines=tuple(sorted(lines, key=lambda line: _rank(line[1]))),
    )


def _rank(cells: Sequence[Entry | None]) -> tuple[int, int, int]:
    """First what is safe in the most tables, then what took in the most, then what was run in the most."""
    standings = [entry.standing for entry in cells if entry is not None]
    return -standings.count(0), -standings.count(1), -len(standings)
