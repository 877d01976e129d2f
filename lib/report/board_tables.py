"""The leaderboard as Markdown tables (docs/leaderboard.md) and as a page that sorts (docs/leaderboard.html)."""

from collections.abc import Sequence

from lib.core.errors import InputError
from lib.metrics.comparison import LOWER_IS_BETTER
from lib.metrics.headline import Column
from lib.report.board_overview import Overview, overviews, pair
from lib.report.headline import table_title
from lib.report.leaderboard import Entry, groups, measured
from lib.report.literal import in_markdown
from lib.report.pages import render
from lib.report.wording import column, number

BEGIN, END = "<!-- made from leaderboard.csv: python -m apps.leaderboard -->", "<!-- end of leaderboard.csv -->"
"""Between these the tables stand."""
OVERVIEW = "<!-- all of leaderboard.csv at a glance: python -m apps.leaderboard -->", "<!-- end of the overview -->"
"""And between these the overview."""
_BY_STANDING = ("**{}**", "{}", "({})")
"""A cell of the overview, by Entry.standing."""


def with_tables(text: str, entries: Sequence[Entry], where: str) -> str:
    """The Markdown `text` with the overview and the tables, each between its marks.

    Raises InputError naming `where` and the marks that it lacks.
    """
    for marks, content in ((OVERVIEW, overview(entries)), ((BEGIN, END), tables(entries))):
        before, begin, rest = text.partition(marks[0])
        _, end, after = rest.partition(marks[1])
        if not (begin and end):
            raise InputError(f"{where}: wanted the lines {marks[0]!r} and {marks[1]!r}, between which numbers of the "
                             "CSV go; found no such")  # fmt: skip
        text = f"{before}{begin}\n\n{content}\n\n{end}{after}"
    return text


def overview(entries: Sequence[Entry]) -> str:
    """Of each model a Markdown table with a line a row and a column a table."""
    return "\n\n".join(map(_overview, overviews(entries)))


def tables(entries: Sequence[Entry]) -> str:
    """A Markdown table for each group under its name; the columns are those that a line of the group has."""
    return "\n\n".join(map(_table, groups(entries)))


def page(entries: Sequence[Entry]) -> str:
    """The page: the overview, and a table for each group with its own columns, which sorts where JavaScript runs."""
    boards = [
        {
            "title": _title(lines),
            "heads": [(head, table_title(head), _best_first(head)) for head in measured(lines)],
            "lines": lines,
        }
        for lines in groups(entries)
    ]
    return render(
        "leaderboard.html.j2",
        scripts=("page.js", "sort.js"),
        boards=boards,
        overviews=overviews(entries),
        pair=pair,
    )


def _title(lines: Sequence[Entry]) -> str:
    model, dataset, protocol, n = lines[0].group
    return f"{model}, {dataset}, {protocol}, {n:,} edits"


def _best_first(head: Column) -> str:
    """The order in which the best line of a column stands on top."""
    return "ascending" if head.unit != "percent" or head.name in LOWER_IS_BETTER else "descending"


def _overview(overview: Overview) -> str:
    rows = [
        [
            in_markdown(name),
            *("" if entry is None else _BY_STANDING[entry.standing].format(pair(entry)) for entry in cells),
        ]
        for name, cells in overview.lines
    ]
    return "\n".join([f"**{overview.model}, all tables**", "", *_markdown([["row", *overview.titles], *rows])])


def _table(lines: Sequence[Entry]) -> str:
    heads = measured(lines)
    rows = [["row", "seeds", "verdict", *map(table_title, heads), "stage edit, s", "s an edit", "memory, GiB", "commit",
             "note"]]  # fmt: skip
    rows += [
        [in_markdown(entry.row), " ".join(map(str, entry.seeds)), entry.verdict,
         *(_shown(entry, head) for head in heads), *_costs(entry), entry.commit, in_markdown(entry.note)]
        for entry in lines
    ]  # fmt: skip
    return "\n".join([f"**{_title(lines)}**", "", *_markdown(rows)])


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first row is its head."""
    text = [f"| {' | '.join(row)} |" for row in rows]
    return [text[0], f"|{'---|' * len(rows[0])}", *text[1:]]


def _shown(entry: Entry, head: Column) -> str:
    figure = entry.figures.get(head.name)
    return "" if figure is None else column(figure.value, figure.spread, head.unit)


def _costs(entry: Entry) -> list[str]:
    """Seconds, seconds an edit and GiB, as far as they are known."""
    costs = (entry.seconds, entry.seconds_per_edit, entry.memory_gib)
    return ["" if cost is None else number(cost) for cost in costs]
