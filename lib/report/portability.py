"""What the edited model says to questions that edits imply: the rows of the page and lines for the terminal."""

from collections.abc import Mapping
from typing import Any

from lib.core.implied import ImpliedKind
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
    before, after = (
        column(entry.get("before"), None, "percent"), column(entry.get("after"), entry.get("ci95"), "percent")
    )  # fmt: skip
    return label, before, after, column(forced["after"], forced["ci95"], "percent"), f"{entry.get('n', forced['n']):,}"
