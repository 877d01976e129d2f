"""The figures of stage `abilities`: every task before and after; lib/metrics/abilities.py reads them back."""

from typing import Any

from lib.abilities.measure import Figure, Measured
from lib.core.files import rounded


def figures(before: Measured, after: Measured | None) -> dict[str, Any]:
    """Each task's headline before and after, and its further metrics under `more`."""
    by_task: dict[str, Any] = {}
    later = {(figure.task, figure.metric): figure for figure in after.figures} if after else {}
    for first in before.figures:
        entry = _pair(first, later.get((first.task, first.metric)))
        if first.task in by_task:
            by_task[first.task].setdefault("more", {})[first.metric] = entry
        else:
            about = {
                name: getattr(first, name) for name in ("metric", "n", "of", "unit", "chance", "truncated", "source")
            }
            by_task[first.task] = entry | about
    return by_task


def _pair(before: Figure, after: Figure | None) -> dict[str, float | None]:
    entry = {"before": rounded(before.value), "before_ci95": rounded(before.ci95)}
    if after is None:
        return entry
    scoped = {} if after.in_scope is None else {"in_scope": after.in_scope}
    return entry | {"after": rounded(after.value), "after_ci95": rounded(after.ci95)} | scoped
