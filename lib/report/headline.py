"""The headline in text: lines for the terminal, cells for Markdown tables, always in the order of its columns."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lib.metrics.headline import TEACHER_FORCED, Column, shown
from lib.metrics.own_subject import OWN_SUBJECT
from lib.metrics.verdict import verdict
from lib.report import judge, portability
from lib.report.wording import ABSENT, column

_NAME_WIDTH, _BEFORE_WIDTH, _AFTER_WIDTH, _COUNT_WIDTH = 32, 14, 17, 8

_UNITS = {"percent": "", "ratio": " (times)", "nats": " (nats)"}

Metrics = Mapping[str, Any]
"""The values of a metrics/evaluate.json."""


def table_title(head: Column) -> str:
    """Of a column in a table: percent unless the unit is named."""
    return head.title + _UNITS[head.unit]


def terminal_lines(metrics: Metrics) -> list[str]:
    """The verdict with its reasons, then one line a column: before, after with its 95 % interval, N."""
    judged = verdict(metrics)
    lines = [f"verdict: {judged.word}", *(f"  - {reason}" for reason in judged.reasons)]
    lines += [f"  - not measured: {words}" for words in judged.unmeasured]
    written = [head for head in shown([metrics]) if head not in TEACHER_FORCED]
    for columns, title in (
        (written, "what the edited model writes"), (TEACHER_FORCED, "teacher-forced, nothing written")
    ):  # fmt: skip
        lines += [
            "",
            _line(title, "before", "after", "N"),
            *(line for head in columns for line in _column_lines(metrics, head)),
        ]
    for title, rows in portability.groups(metrics):
        lines += ["", _line(title, "before", "after", "N")]
        lines += [_line(label, before, after, n) for label, before, after, _, n in rows]
    if judge_rows := judge.rows(metrics):
        lines += ["", _line(f"judged by {metrics['judge']['model']}", "exact match", "judged yes", "N")]
        lines += [_line(label, match, yes, n) for label, yes, match, *_, n in judge_rows]
    edits = f"{metrics['n']:,} {'edit' if metrics['n'] == 1 else 'edits'}"
    units = "percent but for perplexity ratio and KL (nats), ± 95 % intervals"
    return [*lines, "", f"{edits}; {units}", "N are edits, of the ratio texts"]


def table_columns(runs: Sequence[Metrics]) -> tuple[Column, ...]:
    """The columns of a table of these runs: the headline's, a judge's, then those of implied questions."""
    return (*shown(runs), *judge.columns(runs), *portability.columns(runs))


def cells(runs: Sequence[Metrics], columns: Sequence[Column]) -> list[str]:
    """One cell a column, for the runs of one row that differ in the seed.

    Of one run `mean ± half of the 95 % interval over edits`; of several `mean ± standard deviation over seeds`.
    """
    return [_cell(runs, head) for head in columns]


def verdicts(runs: Sequence[Metrics]) -> str:
    """The runs' verdicts; where they differ, each with how many have it, the most frequent first."""
    counts = Counter(verdict(metrics).word for metrics in runs)
    return next(iter(counts)) if len(counts) == 1 else "; ".join(f"{word} ({n})" for word, n in counts.most_common())


def markdown(rows: Mapping[str, Metrics]) -> list[str]:
    """The lines of a Markdown table with one run a row."""
    columns = table_columns([*rows.values()])
    head = ["run", "N", "verdict", *map(table_title, columns)]
    body = [
        [name, f"{metrics['n']:,}", verdicts([metrics]), *cells([metrics], columns)] for name, metrics in rows.items()
    ]
    rule = ["---", "---:", "---", *["---:"] * len(columns)]
    return [f"| {' | '.join(line)} |" for line in (head, rule, *body)]


def _column_lines(metrics: Metrics, head: Column) -> list[str]:
    """The line of a column; of `unchanged` another one for the prompts about the edited subjects, if there are any."""
    before = column(metrics["before"].get(head.name), None, head.unit) if head.has_before else ""
    after = column(metrics.get(head.name), metrics.get(f"{head.name}_ci95"), head.unit)
    lines = [_line(head.title, before, after, f"{metrics['counts'][head.name]:,}")]
    if head.name == "unchanged" and (own := metrics.get(OWN_SUBJECT)):
        after = column(own["after"], own["ci95"], "percent")
        lines.append(_line("  about the edited subjects", "", after, f"{own['n']:,}"))
    return lines


def _line(name: str, before: str, after: str, count: str) -> str:
    cells = f"{before:>{_BEFORE_WIDTH}}{after:>{_AFTER_WIDTH}}{count:>{_COUNT_WIDTH}}"
    return f"{name:<{_NAME_WIDTH}}{cells}".rstrip()


def over_seeds(runs: Sequence[Metrics], head: Column) -> tuple[float, float | None] | None:
    """The mean of a column over the runs of one row with its spread, as `cells` has them; None where a run lacks it."""
    numbers = [{**metrics, **judge.figures(metrics), **portability.figures(metrics)} for metrics in runs]
    values = [value for of_run in numbers if (value := of_run.get(head.name)) is not None]
    if not runs or len(values) < len(runs):
        return None
    spread = statistics.stdev(values) if len(values) > 1 else numbers[0].get(f"{head.name}_ci95")
    return statistics.mean(values), spread


def _cell(runs: Sequence[Metrics], head: Column) -> str:
    figure = over_seeds(runs, head)
    return ABSENT if figure is None else column(*figure, head.unit)
