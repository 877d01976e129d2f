"""General abilities of a table's rows, before and after their edits: the table that stands under the headline's."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from lib.metrics.abilities import PERCENT, Line, lines
from lib.report.wording import ABSENT, figure, short


def table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A Markdown table: for each row every task's headline before -> after the edits; nothing where no task was run.

    Of one seed `after` has half of its 95 % interval over the examples, of several their standard deviation. N are one
    seed's examples, from the fewest to the most where rows differ.

    Args:
        results: For each row results/abilities.json of every seed that ran.
    """
    rows = {row: [_headlines(run) for run in runs] for row, runs in results.items()}
    measured = [line for runs in rows.values() for run in runs for line in run.values()]
    if not measured:
        return ""
    tasks = list(dict.fromkeys(line.task for line in measured))
    heads = [_head([line for line in measured if line.task == task]) for task in tasks]
    body = [
        f"| {row} | {len(runs)} | {' | '.join(_cell([run.get(task) for run in runs]) for task in tasks)} |"
        for row, runs in rows.items()
    ]
    rule = f"|---|{'---:|' * (len(tasks) + 1)}"
    return "\n".join([f"| abilities, before -> after | seeds | {' | '.join(heads)} |", rule, *body])


def _headlines(run: Mapping[str, Any]) -> dict[str, Line]:
    return {line.task: line for line in lines(run.get("tasks", {})) if line.main}


def _head(measured: Sequence[Line]) -> str:
    """A task's name, unit and N."""
    least, most = min(line.n for line in measured), max(line.n for line in measured)
    unit = ", %" if measured[0].unit == PERCENT else ""
    return f"{measured[0].task.replace('_', ' ')}{unit} (N {least:,}{f' to {most:,}' if most > least else ''})"


def _cell(of_seeds: Sequence[Line | None]) -> str:
    """Of a row whose edits are not stored (protocol single), and of a task that it has not run, there is no `after`."""
    runs = [line for line in of_seeds if line is not None]
    if not runs or len(runs) < len(of_seeds):
        return ABSENT
    unit, before = runs[0].unit, statistics.mean(line.before[0] for line in runs)
    first = f"{before:.1f}" if unit == PERCENT else short(before)
    after = [line.after for line in runs if line.after is not None]
    if len(after) < len(runs):
        return f"{first} -> {ABSENT}"
    values = [value for value, _ in after]
    spread = statistics.stdev(values) if len(values) > 1 else after[0][1]
    return f"{first} -> {figure((statistics.mean(values), spread), unit)}"
