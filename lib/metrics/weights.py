"""The weight table of stage edit, read back: its rows after the last edit, its columns in words."""

from collections.abc import Mapping
from typing import Any, TypeVar

import polars as pl

T = TypeVar("T")

TOTAL = "all"
"""The path of the rows that sum up all weights, as lib/protocols/weight_table.py writes it."""
ABOVE = "share_above_"


def map_name(path: str, edits: int) -> str:
    """What the heat map of a weight after so many edits is called, beside those after the last one, called by path."""
    return f"{edits:08d}/{path}"


def maps_by_edits(maps: Mapping[str, T], edits: int) -> dict[int, dict[str, T]]:
    """Heat maps by the number of edits, ascending, and by path; those called by path alone are after `edits`."""
    by_edits: dict[int, dict[str, T]] = {}
    for name, blocks in maps.items():
        number, _, path = name.rpartition("/")
        by_edits.setdefault(int(number) if number else edits, {})[path] = blocks
    return dict(sorted(by_edits.items()))


def shares(weights: pl.DataFrame) -> dict[str, str]:
    """The columns of shares of entries, with the relative change that they are above, in percent."""
    return {name: in_words(name) for name in weights.columns if name.startswith(ABOVE)}


def in_words(column: str) -> str:
    """A column of shares in words."""
    return f"changed by over {100 * float(column.removeprefix(ABOVE)):g} %"


def last_rows(weights: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows after the last edit: the total where there are several weights, then the most changed one first."""
    if weights.is_empty():
        return []
    last = weights.filter(pl.col("edits") == pl.col("edits").max())
    if len(last) == 2:
        last = last.filter(pl.col("path") != TOTAL)
    return last.sort(pl.col("path") != TOTAL, -pl.col("frobenius"), "path").to_dicts()
