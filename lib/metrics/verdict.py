"""The verdict on a run, in a word or two: safe, harmed, did not take. Its limits stand here and nowhere else.

An edit took where the edited model, left to itself, writes the new object; it harmed where text that has nothing to do
with it got worse. The limits are a convention of this project, drawn before the runs that they judge: no paper has any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What lies beyond one of these is no longer called safe; at the limit itself it is."""

    exact_match: float
    """Percent of the edited prompts whose greedy text begins with the new object: less did not take."""
    unchanged: float
    """Percent of the locality prompts with the unedited model's answer: less is harm."""
    perplexity_ratio: float
    """Perplexity of held-out text over the unedited model's: more is harm."""
    repetition: float
    """Percentage points by which the share of greedy texts that repeat themselves may rise: more is harm."""


LIMITS = Limits(exact_match=90.0, unchanged=80.0, perplexity_ratio=1.10, repetition=10.0)

HARM = {
    "perplexity_ratio": "the perplexity of held-out text",
    "unchanged": "the answers to other questions",
    "repetition": "repetition",
}
"""What harm is judged by, in words."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a run."""

    took: bool | None
    """None where no text was written."""
    harmed: bool | None
    """None where no measure shows harm, but one was not taken."""
    reasons: tuple[str, ...]
    """Each limit that is passed: what was found, and the limit."""
    unmeasured: tuple[str, ...]
    """What harm could not be judged by, in words."""

    @property
    def word(self) -> str:
        """`safe` only where everything was measured and nothing lies beyond its limit."""
        if self.took is None:
            return "harmed, not known whether it took" if self.harmed else "not known"
        if not self.took:
            return "did not take, harmed" if self.harmed else "did not take"
        return {True: "took, harmed", False: "safe", None: "took, not known whether safe"}[self.harmed]


def verdict(headline: Mapping[str, Any], limits: Limits = LIMITS) -> Verdict:
    """The verdict on the values of metrics/evaluate.json (lib.metrics.headline); None or absent is not measured."""
    exact_match = headline.get("exact_match")
    took = None if exact_match is None else exact_match >= limits.exact_match
    failed = [] if took is not False else [_missed(exact_match, limits)]
    harm = _harm(headline, limits)
    unmeasured = tuple(words for name, words in HARM.items() if headline.get(name) is None)
    harmed = True if harm else None if unmeasured else False
    return Verdict(took=took, harmed=harmed, reasons=(*failed, *harm), unmeasured=unmeasured)


def harms_elsewhere(headline: Mapping[str, Any], limits: Limits = LIMITS) -> bool:
    """Whether text that no edit is about got worse than a limit allows: what an edit in scope leaves as it was."""
    ratio, unchanged = headline.get("perplexity_ratio"), headline.get("unchanged")
    return (ratio is not None and ratio > limits.perplexity_ratio) or (
        unchanged is not None and unchanged < limits.unchanged
    )


def repetition_rise(headline: Mapping[str, Any]) -> float | None:
    """Percentage points of greedy texts that repeat themselves beyond the unedited model's; None: not measured."""
    after, before = headline.get("repetition"), headline.get("before", {}).get("repetition")
    return None if after is None else float(after - (before or 0.0))


def _missed(exact_match: Any, limits: Limits) -> str:
    return f"the new fact is written after {exact_match:.1f} % of the edited prompts (limit {limits.exact_match:g})"


def _harm(headline: Mapping[str, Any], limits: Limits) -> list[str]:
    """A sentence's part for each limit on harm that is passed."""
    ratio, unchanged, rise = (
        headline.get("perplexity_ratio"),
        headline.get("unchanged"),
        repetition_rise(headline),
    )
    passed = []
    if ratio is not None and ratio > limits.perplexity_ratio:
        passed.append(
            f"perplexity of held-out text is {ratio:.2f} times what it was (limit {limits.perplexity_ratio:g})"
        )
    if unchanged is not None and unchanged < limits.unchanged:
        passed.append(
            f"only {unchanged:.1f} % of the answers to other questions are as before (limit {limits.unchanged:g})"
        )
    if rise is not None and rise > limits.repetition:
        passed.append(
            f"{headline['repetition']:.1f} % of the texts repeat themselves, {rise:.1f} points more than before "
            f"(limit {limits.repetition:g} more)"
        )
    return passed
