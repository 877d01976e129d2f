"""The few numbers that the verdict rests on, each with its limit, for the top of the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.metrics.verdict import LIMITS, repetition_rise
from lib.report.wording import ABSENT, percent

State = Literal["good", "bad", "open"]
"""Within its limit, beyond it, or without one."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One number."""

    title: str
    value: str
    note: str
    state: State


def tiles(numbers: Mapping[str, Any]) -> list[Tile]:
    """What took first, then what it cost; `numbers` are lib.metrics.headline's."""
    return [
        _written(numbers),
        _in_other_words(numbers),
        _unchanged(numbers),
        _perplexity(numbers),
        _repetition(numbers),
    ]


def _written(numbers: Mapping[str, Any]) -> Tile:
    share, count = numbers["exact_match"], numbers["counts"]["exact_match"]
    return Tile(
        title="New facts that it writes",
        value=ABSENT if share is None else f"{round(share * count / 100):,} of {count:,}",
        note=f"limit: {LIMITS.exact_match:g} %",
        state=_state(share, share is not None and share >= LIMITS.exact_match),
    )


def _in_other_words(numbers: Mapping[str, Any]) -> Tile:
    share = numbers["exact_match_paraphrases"]
    return Tile(title="Asked in other words", value=_share(share), note="without a limit", state="open")


def _unchanged(numbers: Mapping[str, Any]) -> Tile:
    share = numbers["unchanged"]
    return Tile(
        title="Other answers as before",
        value=_share(share),
        note=f"limit: {LIMITS.unchanged:g} %",
        state=_state(share, share is not None and share >= LIMITS.unchanged),
    )


def _perplexity(numbers: Mapping[str, Any]) -> Tile:
    ratio = numbers["perplexity_ratio"]
    return Tile(
        title="Perplexity of other text",
        value=ABSENT if ratio is None else f"{ratio:.3f} times",
        note=f"limit: {LIMITS.perplexity_ratio:.2f} times",
        state=_state(ratio, ratio is not None and ratio <= LIMITS.perplexity_ratio),
    )


def _repetition(numbers: Mapping[str, Any]) -> Tile:
    rise = repetition_rise(numbers)
    return Tile(
        title="Texts that repeat themselves",
        value=_share(numbers["repetition"]),
        note=f"limit: {LIMITS.repetition:g} points more than before ({percent(numbers['before']['repetition'], 1)} %)",
        state=_state(rise, rise is not None and rise <= LIMITS.repetition),
    )


def _state(value: float | None, is_within: bool) -> State:
    if value is None:
        return "open"
    return "good" if is_within else "bad"


def _share(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.1f} %"
