"""The figures of general abilities, read back from the metrics file of stage abilities."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PERCENT = "percent"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One metric of one task."""

    task: str
    metric: str
    unit: str
    """percent, perplexity, or harness: whatever a task of the harness reports."""
    n: int
    of: int
    """Examples that the task has."""
    truncated: int
    chance: float | None
    main: bool
    """Whether it is the task's headline."""
    before: tuple[float, float]
    """Value and half the width of its 95 % interval."""
    after: tuple[float, float] | None


def lines(tasks: Mapping[str, Any]) -> list[Line]:
    """Every metric of every task, a task's headline first; `tasks` is stages.abilities.figures'."""
    return [line for task, entry in tasks.items() for line in _of_task(task, entry)]


def _of_task(task: str, entry: Mapping[str, Any]) -> Iterator[Line]:
    about = {name: entry[name] for name in ("unit", "n", "of", "truncated")}
    for metric, values in {entry["metric"]: entry, **entry.get("more", {})}.items():
        main = metric == entry["metric"]
        before, after = (
            None if values.get(when) is None else (values[when], values[f"{when}_ci95"] or 0.0)
            for when in ("before", "after")
        )
        if before is not None:
            chance = entry["chance"] if main else None
            yield Line(task=task, metric=metric, main=main, chance=chance, before=before, after=after, **about)
