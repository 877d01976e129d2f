"""The leaderboard's line of a row of a table that was run."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from lib.core.usage import EDITING, REUSED
from lib.report.board_columns import of_abilities, of_retention
from lib.report.headline import over_seeds, verdicts
from lib.report.leaderboard import FIGURES, BoardFigure, Entry
from lib.report.wording import number

_MIB_PER_GIB = 1024


def entry(
    row: str,
    values: Mapping[str, Any],
    runs: Mapping[int, Mapping[str, Any]],
    usages: Sequence[Mapping[str, float]],
    abilities: Sequence[Mapping[str, Any]] = (),
    *,
    commit: str,
    command: str,
) -> Entry:
    """The line of one row.

    Args:
        row: its name in the table.
        values: of params.yaml.
        runs: by seed the values of metrics/evaluate.json, at least of one.
        usages: of each run of which they are there, what the stage that made the edits has used: stage edit, with
            the seconds of an earlier run's work that it reused, which the edit takes alone; of single edits stage
            score, with the seconds that they took between their scores.
        abilities: of every run the values of results/abilities.json; none of rows that run no tasks.
        commit: of the code that measured it.
        command: what runs it again.
    """
    metrics = [*runs.values()]
    seconds = [usage.get(EDITING, usage["seconds"] + usage.get(REUSED, 0)) for usage in usages]
    tasks = [of_abilities(run, edited=values["editor"] != "none") for run in abilities] or [{}] * len(metrics)
    measured = [{**run, **of_retention(run), **of_tasks} for run, of_tasks in zip(metrics, tasks, strict=True)]
    figures = {head.name: BoardFigure(value=figure[0], spread=figure[1])
               for head in FIGURES if (figure := over_seeds(measured, head)) is not None}  # fmt: skip
    return Entry(
        model=values["model"],
        dataset=values["dataset"],
        protocol=_protocol(values["protocol"]),
        n=metrics[0]["n"],
        row=row,
        editor=values["editor"],
        seeds=tuple(runs),
        verdict=verdicts(metrics),
        figures=figures,
        seconds=_as_shown(mean(seconds)) if seconds else None,
        memory_gib=max(usage["peak_memory_mib"] for usage in usages) / _MIB_PER_GIB if usages else None,
        commit=commit,
        command=command,
    )


def _as_shown(seconds: float) -> float:
    """To the digits that the tables show: the CSV and they have the same numbers."""
    return float(number(seconds).replace(",", ""))


def _protocol(values: Mapping[str, Any]) -> str:
    kind = str(values["kind"])
    return f"{kind}, batches of {values['batch_size']}" if kind == "sequential" else kind
