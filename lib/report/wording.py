"""The report's wording: the sentence on top, the cells of its tables, numbers and durations."""

import math
from collections.abc import Iterator, Mapping
from datetime import date as Date
from decimal import Decimal
from typing import Any

from lib.metrics.own_subject import OWN_SUBJECT

ABSENT = "not measured"
_DIGITS = {"percent": 1, "ratio": 3, "nats": 3}
"""Decimals of a number of the headline, by its unit."""

_PERCENT = "\N{NO-BREAK SPACE}%"
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN_ZEROS = 6
"""A number below one with more zeros than this behind its point is written as a power of ten."""
_HELD_OUT = "held-out text"
"""What the perplexity is of, where its source is not known."""


def sentence(headline: Mapping[str, Any], text_source: str | None = None) -> str:
    """What the edited model writes and what that cost, in plain English.

    `headline` are the values of metrics/evaluate.json; `text_source` says what the held-out text is.
    """
    parts = [_written(headline), _unchanged(headline), _perplexity(headline, text_source), _repetition(headline)]
    return f"{'; '.join(parts)}."


def teacher_forced(headline: Mapping[str, Any]) -> str:
    """The published measures, named as what they are."""
    names = {"efficacy": "edited prompts", "generalization": "paraphrases", "locality": "other subjects"}
    figures = ", ".join(f"{_share(headline[name])} on {where}" for name, where in names.items())
    return (
        f"Teacher-forced, as papers measure it (the answer is read out to the model, which writes nothing): {figures}; "
        f"the paper's score is {percent(headline['score'], 1)}."
    )


def _written(headline: Mapping[str, Any]) -> str:
    """An edit has one prompt of its own, so the mean over edits is a count."""
    share, count = headline["exact_match"], headline["counts"]["exact_match"]
    if share is None:
        return f"Whether the edited model writes the new facts was {ABSENT}"
    facts = "fact" if count == 1 else "facts"
    text = f"Left to itself, the edited model writes {round(share * count / 100):,} of {count:,} corrected {facts}"
    if (paraphrases := headline["exact_match_paraphrases"]) is None:
        return f"{text}; asked in other words: {ABSENT}"
    text = f"{text}, and {_share(paraphrases)} of them when asked in other words"
    chat = headline.get("answered_chat")
    return text if chat is None else f"{text}; as a chat answer, {_share(chat)}"


def _unchanged(headline: Mapping[str, Any]) -> str:
    share = headline["unchanged"]
    if share is None:
        return f"whether answers to other questions changed was {ABSENT}"
    text = f"{_share(share)} of its answers to other questions are what they were"
    own = headline.get(OWN_SUBJECT)
    return (
        text if own is None else f"{text}, {_share(own['after'])} of those about the edited subjects (N {own['n']:,})"
    )


def _perplexity(headline: Mapping[str, Any], text_source: str | None) -> str:
    ratio, ci95 = headline["perplexity_ratio"], headline["perplexity_ratio_ci95"]
    if ratio is None:
        return f"its perplexity of {_HELD_OUT} was {ABSENT}"
    source = f"{text_source}, " if text_source else ""
    texts = f"{source}{headline['counts']['perplexity_ratio']:,} texts"
    times = f"{ratio:.3f} ± {ci95:.3f}".replace(" ", "\N{NO-BREAK SPACE}")
    return f"its perplexity of {_HELD_OUT} ({texts}) is {times} times that of the unedited model"


def _repetition(headline: Mapping[str, Any]) -> str:
    share, before = headline["repetition"], headline["before"]["repetition"]
    if share is None:
        return f"whether its texts repeat themselves was {ABSENT}"
    return f"{_share(share)} of its texts repeat themselves ({_share(before)} before)"


def _share(mean: float | None) -> str:
    return ABSENT if mean is None else f"{mean:.1f}{_PERCENT}"


def interval(mean: float | None, ci95: float | None, digits: int = 1) -> str:
    """A mean in percent with half the width of its interval."""
    return ABSENT if mean is None or ci95 is None else f"{mean:.{digits}f} ± {ci95:.{digits}f}"


def percent(mean: float | None, digits: int = 2) -> str:
    """A mean in percent."""
    return ABSENT if mean is None else f"{mean:.{digits}f}"


def column(value: float | None, ci95: float | None, unit: str) -> str:
    """A number of the headline with half the width of its interval, where it has one."""
    if value is None:
        return ABSENT
    digits = _DIGITS[unit]
    return f"{value:.{digits}f}" if ci95 is None else f"{value:.{digits}f} ± {ci95:.{digits}f}"


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
    """A number with so many digits, from 100 on without decimals; never in the notation of computers."""
    return f"{value:,.0f}" if abs(value) >= 100 else _readable(f"{value:#.{digits}g}").removesuffix(".")


def tick(value: float) -> str:
    """The number at a tick of an axis: 0.5, 2,000, 10⁶."""
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)) + 1e-9)
    return f"{value:,.12g}" if -4 <= power < 5 else _power(value / 10.0**power, power)


def _readable(text: str) -> str:
    """A number that Python has written, with 7e-05 as 0.00007 and 1e-09 as 10⁻⁹."""
    coefficient, _, exponent = text.partition("e")
    if not exponent:
        return text
    value = Decimal(text)
    return (
        f"{value:,f}" if -_PLAIN_ZEROS <= int(exponent) < 0 or value == 0 else _power(float(coefficient), int(exponent))
    )


def _power(coefficient: float, exponent: int) -> str:
    power = f"10{str(exponent).translate(_SUPERSCRIPTS)}"
    return power if f"{coefficient:g}" == "1" else f"{coefficient:g} \N{MULTIPLICATION SIGN} {power}"


def odds(percent: float | None) -> str:
    """A probability in percent, with more digits the nearer to 0; what is nearer still is under 0.001 %."""
    if percent is None:
        return "\N{EN DASH}"
    if percent < 0.001:
        return f"under 0.001{_PERCENT}"
    digits = f"{percent:.1f}" if percent >= 1 else f"{float(f'{percent:.1g}'):.3f}".rstrip("0").rstrip(".")
    return digits + _PERCENT


def unbroken(text: str) -> str:
    """A model's text without its empty lines."""
    return "\n".join(line for line in text.splitlines() if line.strip()).strip() or "nothing"


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
        return _readable(f"{value:,.4g}") if abs(value) < 1000 else f"{value:,.0f}"
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


def day(date: Date) -> str:
    """A date as it is written in a text: 27 November 2026."""
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


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
