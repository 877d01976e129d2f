"""The headline of a run: which numbers, in which order, under which names, wherever they are shown.

First what the edited model writes when no token is forced, and what that cost; then, named so, the published measures,
which force the target's tokens one after another. metrics/evaluate.json holds them by `name`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from lib.metrics.scores import CHAT, HEADLINE
from lib.metrics.verdict import verdict

Unit = Literal["percent", "ratio", "nats"]
DECIMALS: dict[Unit, int] = {"percent": 4, "ratio": 4, "nats": 4}
"""In metrics/evaluate.json: more than are shown, so that nothing shown is rounded twice."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One number of the headline."""

    name: str
    title: str
    unit: Unit
    kind: str | None
    """The kind of prompt in summaries.details; None: not measured on prompts of the edits."""
    measure: str | None
    """None: the headline measure of the dataset."""
    has_before: bool
    """Whether the unedited model has it too."""


def _column(
    name: str, title: str, kind: str | None, measure: str | None, unit: Unit = "percent", has_before: bool = True
) -> Column:
    return Column(name=name, title=title, unit=unit, kind=kind, measure=measure, has_before=has_before)


WRITTEN = (
    _column("exact_match", "exact match", "efficacy", "exact_match"),
    _column("exact_match_paraphrases", "exact match, paraphrases", "generalization", "exact_match"),
    _column("unchanged", "unchanged", "locality", "unchanged", has_before=False),
    _column("perplexity_ratio", "perplexity ratio", None, None, unit="ratio", has_before=False),
    _column("kl", "KL", "locality", "kl", unit="nats", has_before=False),
    _column("repetition", "repetition", "efficacy", "repetition"),
)
"""What the edited model writes, and what that cost."""
TEACHER_FORCED = (
    _column("efficacy", "teacher-forced efficacy", "efficacy", None),
    _column("generalization", "teacher-forced generalization", "generalization", None),
    _column("locality", "teacher-forced locality", "locality", None),
    _column("score", "paper's score", "score", None),
)
"""The published measures: the dataset's own, and the harmonic mean of the three."""
COLUMNS = (*WRITTEN, *TEACHER_FORCED)
ASKED = _column("answered_chat", "answered in a chat", CHAT, "answered")
"""What a model with a chat template answers to the edits' questions; of no other model is there such a number."""


def shown(runs: Iterable[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The columns of a table of these runs, values of metrics/evaluate.json: with ASKED where one of them has it."""
    has_chat = any(ASKED.name in numbers for numbers in runs)
    return tuple(
        chain.from_iterable((column, ASKED) if has_chat and column is WRITTEN[1] else (column,) for column in COLUMNS)
    )


def headline(details: Mapping[str, Any], plain_text: Mapping[str, float]) -> dict[str, Any]:
    """The few numbers that metrics/evaluate.json holds: every column with `*_ci95` and its N under `counts`.

    None where nothing was measured, but answered_chat, which is absent then; the means of the unedited model under
    `before`; `n` edits; `verdict`, a word.

    Args:
        details: summaries.details'.
        plain_text: lib.metrics.perplexity's; empty without an edited model.
    """
    columns = (*COLUMNS, ASKED) if details["after"][CHAT]["answered"] else COLUMNS
    figures = {column.name: _figure(column, details, "after", plain_text) for column in columns}
    values: dict[str, Any] = {"n": details["n"], "counts": {}, "before": {}}
    for column in columns:
        mean, ci95, count = figures[column.name]
        values |= {column.name: _rounded(mean, column.unit), f"{column.name}_ci95": _rounded(ci95, column.unit)}
        values["counts"][column.name] = count
        if column.has_before:
            values["before"][column.name] = _rounded(_figure(column, details, "before", {})[0], column.unit)
    return values | {"verdict": verdict(values).word}


def order(kind: str, measure: str) -> int:
    """Where a measure of a kind of prompt stands among measures that are shown together: the headline's first."""
    for position, column in enumerate(COLUMNS):
        if column.kind == kind and measure in ((column.measure,) if column.measure else HEADLINE.values()):
            return position
    return len(COLUMNS)


def is_shown(kind: str, measure: str, dataset_measure: str) -> bool:
    """Whether a measure of a kind of prompt is one of the headline, `dataset_measure` being that of the dataset."""
    return any(column.kind == kind and measure == (column.measure or dataset_measure) for column in COLUMNS)


def compared(kind: str, measure: str) -> str:
    """What a measure of a kind of prompt is called in a comparison; teacher-forced ones name the measure as well."""
    position = order(kind, measure)
    if position == len(COLUMNS):
        return f"{kind} {measure.replace('_', ' ')}"
    column = COLUMNS[position]
    return column.title if column.measure else f"{column.title} ({measure.replace('_', ' ')})"


def _figure(
    column: Column, details: Mapping[str, Any], when: str, plain_text: Mapping[str, float]
) -> tuple[float | None, float | None, int]:
    """Mean, half the width of its interval, and N: of texts for the perplexity ratio, else of edits."""
    if column.kind is None:
        ratio = plain_text.get("perplexity_ratio")
        return ratio, plain_text.get("perplexity_ratio_ci95"), int(plain_text.get("texts", 0))
    summary = details[when][column.kind][column.measure or details["headline"]]
    return (None, None, 0) if summary is None else (summary["mean"], summary["ci95"], summary["n"])


def _rounded(value: float | None, unit: Unit) -> float | None:
    return None if value is None else round(value, DECIMALS[unit])
