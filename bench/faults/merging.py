"""What a page keeps of its last writing: sections of parts that were not run again, and rows of another key."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

COMMIT = "commit"
"""The last column of every table: what the row was run at."""
_TITLE = re.compile(r"^## (.+)$", re.MULTILINE)
_FAULTS = "Faults:"


def sections(page: str) -> dict[str, str]:
    """The sections of a page by their titles, each with its title's line."""
    titles = list(_TITLE.finditer(page))
    starts = [title.start() for title in titles]
    parts = zip(titles, starts, [*starts[1:], len(page)], strict=False)  # without a title there is an end, and no start
    return {title[1]: page[start:end].rstrip() + "\n" for title, start, end in parts}


def overview(page: str) -> dict[str, str]:
    """The lines of the table at the page's head by their part."""
    head = _TITLE.split(page, 1)[0]
    return {cells(line)[0]: line for line in head.splitlines() if line.startswith("| ")}


def merged(findings: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The findings with the rows and the faults that the section has of other keys, in order, and with their total."""
    header, *rows = [cells(line) for line in section.splitlines() if line.startswith("| ")] or [[]]
    new = [list(row) for row in findings["rows"]]
    keys = {_key(row, findings) for row in new}
    if header == list(findings["columns"]):
        rows_before = [row for row in rows[1:] if _key(row, findings) not in keys and row[0] != findings["total"]]
        beginnings = tuple(f"{', '.join(key)}{end}" for key in keys for end in ",:")
        faults = [fault for fault in _faults(section) if not fault.startswith(beginnings)]
    else:  # of another version of the part
        rows_before, faults = [], []
    together = sorted([*new, *rows_before], key=lambda row: _place(row, findings["order"]))
    absent = [", ".join(key) for key in findings["order"] if not any(_begins(row, key) for row in together)]
    unreached = [*findings["unreached"], *([f"Not run: {'; '.join(absent)}."] if absent else [])]
    total = [_total(findings["total"], findings["key"], together)] if findings["total"] and together else []
    return {**findings, "rows": [*together, *total], "faults": [*faults, *findings["faults"]], "unreached": unreached}


def cells(line: str) -> list[str]:
    """The cells of a line of a table."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _key(row: Sequence[str], findings: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row[: findings["key"]])


def _begins(row: Sequence[str], key: Sequence[str]) -> bool:
    return list(row[: len(key)]) == list(key)


def _place(row: Sequence[str], order: Sequence[Sequence[str]]) -> int:
    return next((index for index, key in enumerate(order) if _begins(row, key)), len(order))


def _faults(section: str) -> list[str]:
    lines = section.partition(f"\n{_FAULTS}\n\n")[2].splitlines()
    ends = next((number for number, line in enumerate(lines) if not line.startswith("- ")), len(lines))
    return [line.removeprefix("- ") for line in lines[:ends]]


def _total(name: str, key: int, rows: Sequence[Sequence[str]]) -> list[str]:
    """A row with the sum of every column between key and commit that begins with a number in all rows."""
    columns = list(zip(*rows, strict=True))
    sums = [name, *[""] * (key - 1)]
    for column in columns[key:-1]:
        numbers = [cell.split(" ")[0].rstrip(",").replace(",", "") for cell in column]
        sums.append(f"{sum(map(int, numbers)):,}" if all(number.isdigit() for number in numbers) else "")
    return [*sums, ""]
