"""What edits change in the weights, after so many of them, with the published values beside: RECT's table 1."""

import statistics
from collections.abc import Mapping, Sequence

import polars as pl

from lib.metrics.published import Beside
from lib.metrics.weights import TOTAL, shares


def of_single_edits(table: pl.DataFrame) -> pl.DataFrame:
    """single_weights.csv with the columns of weights.csv: every row is of all weights, after one edit."""
    return table.with_columns(edits=pl.lit(1), path=pl.lit(TOTAL))


def table(tables: Mapping[str, Sequence[pl.DataFrame]], beside: Beside) -> str:
    """A Markdown table: for each row and each number of edits that is published, mean and spread over all draws.

    A draw is a seed's edits, one after another, or a single edit.

    Args:
        tables: For each row results/train/weights.csv of every seed, or `of_single_edits`.
        beside: Published values by the number of edits.
    """
    first = next(iter(runs[0] for runs in tables.values() if runs), None)
    share_names = {} if first is None else shares(first)
    columns = ["manhattan", *share_names]
    head = ["row", "edits", "draws", "Manhattan norm of ΔW", *share_names.values()]
    head.append(f"published: {beside.title} ({' / '.join(beside.measures)})")
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 2)}---|"]
    for row, runs in tables.items():
        totals = [run.filter(pl.col("path") == TOTAL) for run in runs]
        measured = {edits: _draws(totals, int(edits), columns) for edits in beside.values}
        if not any(measured.values()):
            lines.append(f"| {row} |{' not measured |' * (len(head) - 1)}")
        for edits, draws in measured.items():
            if draws:
                cells = [_cell(column) for column in zip(*draws, strict=True)]
                published = " / ".join(map(str, beside.values[edits]))
                lines.append(f"| {row} | {edits} | {len(draws)} | {' | '.join(cells)} | {published} |")
    return "\n".join(lines)


def _draws(totals: Sequence[pl.DataFrame], edits: int, columns: Sequence[str]) -> list[tuple[float, ...]]:
    """The values of `columns` after so many edits, of every draw of all seeds."""
    return [draw for total in totals for draw in total.filter(pl.col("edits") == edits)[list(columns)].iter_rows()]


def _cell(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"
