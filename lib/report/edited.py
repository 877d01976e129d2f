"""The edits' texts in the order in which a reader wants them: the worst first."""

import math
from collections.abc import Sequence

from lib.metrics.examples import AnswerExample

ENDS = 5
"""So many of the worst and of the best are shown in full before all the others."""


def worst_first(examples: Sequence[AnswerExample]) -> list[AnswerExample]:
    """Those that did not take, those without a text, then those that took; of each the less likely new object first."""
    return sorted(examples, key=lambda example: (example.took is not False, example.took is True, _likelihood(example)))


def ends(examples: Sequence[AnswerExample]) -> tuple[list[AnswerExample], list[AnswerExample]]:
    """The worst, and the best with the best first; no edit is in both."""
    ordered = worst_first(examples)
    return ordered[:ENDS], ordered[ENDS:][::-1][:ENDS]


def probability(nll: float | None) -> float | None:
    """The probability of a token in percent, the geometric mean over an object's tokens, from their mean NLL."""
    return None if nll is None else 100 * math.exp(-nll)


def _likelihood(example: AnswerExample) -> float:
    """Of the new object after the edit; one that is not known is taken for none."""
    value = example.nll.get("new_after")
    return -math.inf if value is None else -value
