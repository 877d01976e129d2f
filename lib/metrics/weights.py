"""The weight table of stage edit, read back: its rows after the last edit, its columns in words."""

from typing import Any

import polars as pl

TOTAL = "all"
"""The path of the rows that sum up all weights, as lib/protocols/weight_table.py writes it."""
ABOVE = "share_above_"


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
