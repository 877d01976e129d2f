"""How far a judge's yes and no agree with exact match."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lib.metrics.summaries import summarized

_DIGITS = 4


def agreement(yes: Sequence[bool | None], matches: Sequence[bool]) -> dict[str, Any]:
    """What the judge says of texts, and how often exact match says the same.

    Returns:
        n: texts that it answered; unanswered: the others, which count nowhere else.
        yes, ci95: percent of the answered texts, and half of the 95 % interval (1.96 standard errors).
        exact_match: percent of the same texts.
        agreement, agreement_ci95: percent of them of which both say the same.
        kappa: Cohen's, (p - e) / (1 - e) with p the agreement and e that of two that answer by chance with the same
            shares of yes; None where e is 1, as where both say the same of every text.
    """
    pairs = np.array([pair for pair in zip(yes, matches, strict=True) if pair[0] is not None], dtype=float)
    values: dict[str, Any] = {"n": len(pairs), "unanswered": len(yes) - len(pairs)}
    if not len(pairs):
        return values | dict.fromkeys(("yes", "ci95", "exact_match", "agreement", "agreement_ci95", "kappa"))
    answer, match = pairs.T
    shares, same = summarized(answer * 100), summarized((answer == match) * 100.0)
    chance = float(answer.mean() * match.mean() + (1 - answer.mean()) * (1 - match.mean()))
    kappa = None if chance == 1 else round((same.mean / 100 - chance) / (1 - chance), _DIGITS)
    figures = {"yes": shares.mean, "ci95": shares.ci95, "exact_match": float(match.mean()) * 100,
               "agreement": same.mean, "agreement_ci95": same.ci95}  # fmt: skip
    return values | {name: round(value, _DIGITS) for name, value in figures.items()} | {"kappa": kappa}
