"""The figures of stage `abilities`, each with its interval (95 %, 1.96 standard errors); lib/metrics/abilities.py reads
them back.

The error is of the mean (std with ddof 0 / sqrt N) where the metric is a mean, else of the metric over resamples of the
examples (bootstrap).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.core.files import rounded

RESAMPLES = 200
Z95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One metric of one task."""

    task: str
    metric: str
    value: float
    ci95: float
    """Half the width of the interval."""
    n: int
    """Examples that were used."""
    of: int
    """Examples that the task has."""
    unit: str
    """percent; perplexity; or harness, which is whatever the harness's own task reports."""
    chance: float | None
    """What guessing gives, where that is known."""
    truncated: int
    """Examples whose prompt was too long for the model."""
    source: str
    """The file, or the hub's dataset and revision, that the examples are from."""
    in_scope: int | None = None
    """Examples whose prompt is in the edit's scope; None for an edit without one."""


def standard_error(aggregate: Callable[[Any], float], values: Sequence[Any], seed: int) -> float:
    """That of the mean where `aggregate` is called mean, else the deviation of `aggregate` over resamples."""
    if aggregate.__name__.strip("_") == "mean":
        return float(np.std(values)) / math.sqrt(len(values))
    random = np.random.default_rng(seed)
    draws = [[values[index] for index in random.integers(0, len(values), len(values))] for _ in range(RESAMPLES)]
    return float(np.std([aggregate(resample) for resample in draws]))


def figures(before: Sequence[Figure], after: Sequence[Figure] = ()) -> dict[str, Any]:
    """Each task's headline before and after, and its further metrics under `more`: what results/abilities.json has."""
    by_task: dict[str, Any] = {}
    later = {(figure.task, figure.metric): figure for figure in after}
    for first in before:
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
