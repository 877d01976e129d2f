"""The leaderboard's columns beyond a run's headline: what the edited model can still do, and what a stream retains."""

from collections.abc import Mapping
from typing import Any

from lib.metrics.abilities import PERCENT, lines
from lib.metrics.headline import Column

TASKS = ("pool_recall", "world_four_choice", "world_yes_no", "reasoning", "nli", "open_qa", "closed_qa", "dialogue",
         "summarization", "ner", "sentiment")  # fmt: skip
"""Of configs/abilities/ those in percent. Perplexity has a column of the headline."""
_RETAINED = {
    "immediate": "teacher-forced efficacy when made",
    "oldest_immediate": "the oldest edits' when made",
    "oldest_final": "the oldest edits' at the end",
}


def _column(name: str, title: str) -> Column:
    return Column(name=name, title=title, unit="percent", kind=None, measure=None, has_before=False)


ABILITIES = tuple(_column(f"abilities.{task}", task.replace("_", " ")) for task in TASKS)
"""Of every task the edited model's figure; the unedited row has what it was before."""
RETENTION = tuple(_column(f"retention.efficacy.{name}", title) for name, title in _RETAINED.items())
"""Of a sequential run that was scored on the way; what all edits have at the end is the headline's efficacy."""


def of_abilities(results: Mapping[str, Any], *, edited: bool) -> dict[str, float]:
    """A run's task figures under the names of ABILITIES, intervals under `*_ci95`.

    Args:
        results: of results/abilities.json.
        edited: of an unedited row the figures before are taken: there are no others.
    """
    measured = ((line, line.after if edited else line.before) for line in lines(results.get("tasks", {})) if line.main)
    values: dict[str, float] = {}
    for line, figure in measured:
        if figure is not None and line.unit == PERCENT and line.task in TASKS:
            name = f"abilities.{line.task}"
            values |= {name: figure[0], f"{name}_ci95": figure[1]}
    return values


def of_retention(metrics: Mapping[str, Any]) -> dict[str, float]:
    """A run's retention under the names of RETENTION; nothing of a run that was scored at the end alone.

    Args:
        metrics: of metrics/evaluate.json, with `retention` of results/evaluate.json.
    """
    efficacy = metrics.get("retention", {}).get("efficacy", {})
    return {f"retention.efficacy.{name}": efficacy[name] for name in _RETAINED if name in efficacy}
