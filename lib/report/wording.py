"""The report's wording: the sentence on top, the cells of its tables, numbers and durations."""

from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = "not measured"

_SHARES = {
    "success": {
        "generalization": "Asked in other words, it prefers the new answer in {} of cases",
        "locality": "On prompts about other subjects the right answer stays ahead of the new one in {} of cases",
    },
    "token_accuracy": {
        "generalization": "Asked in other words, it predicts {} of the new answers' tokens",
        "locality": "On prompts about other subjects it predicts {} of the right answers' tokens",
    },
}
"""What a headline measure means for each kind; {} is the percentage."""


def sentence(details: Mapping[str, Any]) -> str:
    """What happened, in plain words. `details` are summaries.details'."""
    shares = _SHARES[details["headline"]]
    return " ".join([_took(details), *(_share(details, kind, text) for kind, text in shares.items())])


def _took(details: Mapping[str, Any]) -> str:
    """How many edits took. An edit has one prompt of its own, so the mean over edits is a count."""
    preferred = details["headline"] == "success" and details["after"]["efficacy"]["success"] is not None
    measure = "success" if preferred else "accuracy"
    after, before = (details[when]["efficacy"][measure] for when in ("after", "before"))
    verb = "prefers the new answer to the old one" if preferred else "predicts every token of the new answer"
    text = f"Of {after['n']:,} corrected {'fact' if after['n'] == 1 else 'facts'}, the edited model {verb} for"
    text += f" {_count(after)}; the unedited model did for {_count(before)}."
    unnamed = details["n"] - after["n"]
    have = "has" if unnamed == 1 else "have"
    return f"{text} {unnamed:,} more {have} no old answer to compare with." if unnamed else text


def _count(summary: Mapping[str, Any] | None) -> str:
    return ABSENT if summary is None else f"{round(summary['mean'] * summary['n'] / 100):,}"


def _share(details: Mapping[str, Any], kind: str, text: str) -> str:
    after, before = (details[when][kind][details["headline"]] for when in ("after", "before"))
    if after is None:
        return f"{kind.capitalize()} was {ABSENT}: no edit has prompts for it, or an old answer to compare with."
    return f"{text.format(_percent(after))} ({_percent(before)} before)."


def _percent(summary: Mapping[str, Any] | None) -> str:
    return ABSENT if summary is None else f"{summary['mean']:.1f}\N{NO-BREAK SPACE}%"


def interval(mean: float | None, ci95: float | None, digits: int = 1) -> str:
    """A mean in percent with half the width of its interval."""
    return ABSENT if mean is None or ci95 is None else f"{mean:.{digits}f} ± {ci95:.{digits}f}"


def percent(mean: float | None) -> str:
    """A mean in percent with two decimals."""
    return ABSENT if mean is None else f"{mean:.2f}"


def cell(summary: Mapping[str, Any] | None) -> str:
    """A summary of summaries.details as a table's cell."""
    return interval(None, None) if summary is None else interval(summary["mean"], summary["ci95"])


def figure(value: tuple[float, float] | None, unit: str) -> str:
    """A value with half the width of its interval: percent with one decimal, anything else with three digits."""
    if value is None:
        return ABSENT
    if unit == "percent":
        return interval(*value)
    return f"{short(value[0])} ± {short(value[1], 2)}"


def short(value: float, digits: int = 3) -> str:
    """A number that is not negative with so many digits, from 100 on without decimals."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.{digits}g}".removesuffix(".")


def signed(value: float, digits: int = 1) -> str:
    """A difference with so many decimals and its sign; nothing is -0.0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def p_value(value: float | None) -> str:
    """The p of a test; that of a measure without a test is a dash."""
    if value is None:
        return "\N{EN DASH}"
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def number(value: Any) -> str:
    """A value of a JSON file as a reader wants it: thousands marked, four digits, yes and no, "none" for null."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def flat(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested JSON values as (name, value), names of the way down joined by dots."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list | tuple) and any(isinstance(value, Mapping) for value in values):
        for index, value in enumerate(values, start=1):
            yield from flat(value, f"{name}.{index}" if name else str(index))
    elif isinstance(values, list | tuple):
        yield name, ", ".join(map(number, values)) or "none"
    else:
        yield name or "nothing", "none" if values == {} else number(values)
