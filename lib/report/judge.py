"""What a judge model said of the edited model's texts: rows of the page, lines of the terminal, table columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.metrics.headline import Column
from lib.report.wording import ABSENT, column

KINDS: Mapping[str, str] = {
    "efficacy": "edited prompts", "generalization": "paraphrases", "chat": "questions in a chat",
}  # fmt: skip
Rows = list[tuple[str, str, str, str, str, str]]
"""Label, the judge's yes, exact match, agreement of both, Cohen's kappa, and N."""
COLUMNS = tuple(
    Column(
        name=f"judge.{kind}", title=f"judged yes, {label}", unit="percent", kind=None, measure=None, has_before=False
    )
    for kind, label in KINDS.items()
)


def rows(numbers: Mapping[str, Any]) -> Rows:
    """Of the values of metrics/evaluate.json a row for each kind of prompt that was judged; none without a judge."""
    judge = numbers.get("judge", {})
    return [_row(label, judge[kind]) for kind, label in KINDS.items() if kind in judge]


def _row(label: str, entry: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    if entry["unanswered"]:
        label = f"{label} ({entry['unanswered']:,} unanswered)"
    kappa = ABSENT if entry["kappa"] is None else f"{entry['kappa']:.2f}"
    return (
        label, column(entry["yes"], entry["ci95"], "percent"), column(entry["exact_match"], None, "percent"),
        column(entry["agreement"], entry["agreement_ci95"], "percent"), kappa, f"{entry['n']:,}",
    )  # fmt: skip


def columns(runs: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The columns of a table of these runs: of each kind that any of them had judged."""
    measured = {name for numbers in map(figures, runs) for name, value in numbers.items() if value is not None}
    return tuple(head for head in COLUMNS if head.name in measured)


def figures(numbers: Mapping[str, Any]) -> dict[str, float | None]:
    """What the judge said in percent, under the names of COLUMNS, intervals under `*_ci95`."""
    judge = numbers.get("judge", {})
    entries = {f"judge.{kind}": judge[kind] for kind in KINDS if kind in judge}
    yes = {name: entry["yes"] for name, entry in entries.items()}
    return yes | {f"{name}_ci95": entry["ci95"] for name, entry in entries.items()}
