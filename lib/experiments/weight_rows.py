"""What edits change in the weights, after so many of them, with the published values beside: RECT's table 1."""

import statistics
from collections.abc import Mapping, Sequence

import polars as pl

from lib.metrics.published import Beside
from lib.metrics.weights import TOTAL, shares


def table(tables: Mapping[str, Sequence[pl.DataFrame]], beside: Beside) -> str:
    """A Markdown table: for each row and each number of edits that is published, mean and spread over seeds.

    Args:
        tables: For each row results/train/weights.csv of every seed.
        beside: Published values by the number of edits.
    """
    first = next(iter(runs[0] for runs in tables.values() if runs), None)
    share_names = {} if first is None else shares(first)
    columns = ["manhattan", *share_names]
    head = ["row", "edits", "seeds", "Manhattan norm of ΔW", *share_names.values()]
    head.append(f"published: {beside.title} ({' / '.join(beside.measures)})")
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 2)}---|"]
    for row, runs in tables.items():
        totals = [run.filter(pl.col("path") == TOTAL) for run in runs]
        for edits, published in beside.values.items():
            values = [[_value(total, int(edits), column) for total in totals] for column in columns]
            cells = [_cell([value for value in column if value is not None]) for column in values]
            cell = " / ".join(map(str, published))
            lines.append(f"| {row} | {edits} | {len(runs)} | {' | '.join(cells)} | {cell} |")
    return "\n".join(lines)


def _value(total: pl.DataFrame, edits: int, column: str) -> float | None:
    rows = total.filter(pl.col("edits") == edits)
    return float(rows[column][0]) if len(rows) else None


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "not measured"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"
