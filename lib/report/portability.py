"""What the edited model says to questions that edits imply: rows of the page, lines of the terminal, table columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.core.implied import ImpliedKind
from lib.metrics.headline import Column
from lib.metrics.portability import PORTABILITY, RELATED, SECTIONS
from lib.report.wording import column

TITLES: Mapping[str, str] = {
    PORTABILITY: "portability: what follows from the edits",
    RELATED: "related facts: what must stay as it is",
}
LABELS: Mapping[ImpliedKind, str] = {
    "alias": "subject under another name",
    "reversed": "reversed relation, logical generalization",
    "two_hops": "two hops",
    "more_hops": "three hops or more",
    "one_hop": "single hops of the chains",
    "same_subject": "other relations of the same subject",
}
Rows = list[tuple[str, str, str, str, str]]
"""Label, before and after in free text, teacher-forced after, and N."""


def groups(numbers: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Of the values of metrics/evaluate.json each section's title and rows; none where no edit implies a question."""
    return [
        (TITLES[section], [_row(LABELS[kind], numbers[section][kind]) for kind in kinds if kind in numbers[section]])
        for section, kinds in SECTIONS.items()
        if section in numbers
    ]


def _row(label: str, entry: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Of a kind of which no text was written the teacher-forced figures alone are known."""
    forced = entry["teacher_forced"]
    if left_out := entry.get("left_out", forced.get("left_out")):
        label = f"{label} ({left_out:,} left out: not known before)"
    before, after = (
        column(entry.get("before"), None, "percent"), column(entry.get("after"), entry.get("ci95"), "percent")
    )  # fmt: skip
    return label, before, after, column(forced["after"], forced["ci95"], "percent"), f"{entry.get('n', forced['n']):,}"


def columns(runs: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The columns of a table of these runs, values of metrics/evaluate.json, in the order of its sections.

    Of each kind that a run was asked the free text, then the teacher-forced share; none that no run has.
    """
    measured = {name for numbers in map(figures, runs) for name, value in numbers.items() if value is not None}
    return tuple(head for head in ALL_COLUMNS if head.name in measured)


def figures(numbers: Mapping[str, Any]) -> dict[str, float | None]:
    """The sections of metrics/evaluate.json without levels, under the names of `columns`, intervals under `*_ci95`."""
    values: dict[str, float | None] = {}
    for section, kinds in SECTIONS.items():
        of_section = numbers.get(section, {})
        for kind in (kind for kind in kinds if kind in of_section):
            free, forced = _heads(section, kind)
            for head, entry in ((free, of_section[kind]), (forced, of_section[kind]["teacher_forced"])):
                values |= {head.name: entry.get("after"), f"{head.name}_ci95": entry.get("ci95")}
    return values


def _heads(section: str, kind: ImpliedKind) -> tuple[Column, Column]:
    name = f"{section}.{kind}"
    free, forced = (
        Column(name=key, title=title, unit="percent", kind=None, measure=None, has_before=True)
        for key, title in ((name, name), (f"{name}.teacher_forced", f"{name}, teacher-forced"))
    )
    return free, forced


ALL_COLUMNS = tuple(head for section, kinds in SECTIONS.items() for kind in kinds for head in _heads(section, kind))
"""Of every kind the free text, then the teacher-forced share."""
