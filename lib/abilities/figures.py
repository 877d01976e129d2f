"""The figures of stage `abilities`: every task before and after; lib/metrics/abilities.py reads them back."""

from typing import Any

from lib.abilities.measure import Figure, Measured
from lib.core.files import rounded


def figures(before: Measured, after: Measured | None) -> dict[str, Any]:
    """Each task's headline before and after, and its further metrics under `more`."""
    made: dict[str, Any] = {}
    later = {(one.task, one.metric): one for one in after.figures} if after else {}
    for one in before.figures:
        entry = _pair(one, later.get((one.task, one.metric)))
        if one.task in made:
            made[one.task].setdefault("more", {})[one.metric] = entry
        else:
            about = {
                name: getattr(one, name) for name in ("metric", "n", "of", "unit", "chance", "truncated", "source")
            }
            made[one.task] = entry | about
    return made


def _pair(before: Figure, after: Figure | None) -> dict[str, float | None]:
    entry = {"before": rounded(before.value), "before_ci95": rounded(before.ci95)}
    return entry | ({"after": rounded(after.value), "after_ci95": rounded(after.ci95)} if after else {})
