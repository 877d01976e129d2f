"""Percentile bootstrap over edits: the spread of a mean, or of a harmonic mean of means, when edits are drawn anew.

Edits are drawn with replacement, as many as there are, and every column of one draw is taken from the same edits
(Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). It assumes no symmetry, so that it may be
compared with the 1.96 standard errors that the papers report.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE = 0.95
_CELLS = 2**22
"""Drawn edits that are held at a time: bounds memory, changes no result."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How often edits are drawn anew, and from which random stream."""

    draws: int
    seed: int


STANDARD = Resampling(draws=2_000, seed=0)
"""For every interval of a run: part of the method, as the 1.96 of the other interval is."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The middle 95 % of what the draws gave, in the unit of the values."""

    low: float
    high: float


def means(values: Floats, resampling: Resampling) -> Floats:
    """The mean of every column of `values` [n, columns] in every draw: [draws, columns].

    NaN marks what was not measured: a mean runs over the rest, and is NaN in a draw that has nothing of a column.
    Raises ValueError where there is no edit to draw.
    """
    n = len(values)
    if not n:
        raise ValueError("bootstrap: wanted at least one edit to draw, found none")
    random = np.random.default_rng(resampling.seed)
    measured = ~np.isnan(values)
    terms = np.concatenate(
        [np.where(measured, values, 0.0), measured], axis=1
    )  # [n, 2 columns]: values, measured or not
    totals = np.empty((resampling.draws, terms.shape[1]))
    chunk = max(1, _CELLS // n)
    for start in range(0, resampling.draws, chunk):
        rows = min(chunk, resampling.draws - start)
        edits = random.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(edits.ravel(), minlength=rows * n).reshape(rows, n)  # how often each edit was drawn
        totals[start : start + rows] = times @ terms
    sums, counts = np.split(totals, 2, axis=1)
    column_means: Floats = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return column_means


def harmonic(terms: Floats) -> Floats:
    """The harmonic mean over the last axis: 0 where a term is 0, NaN where one is NaN."""
    with np.errstate(divide="ignore"):
        mean: Floats = terms.shape[-1] / (1 / terms).sum(axis=-1)
    return mean


def interval(means: Floats) -> Interval | None:
    """The percentile interval of the means of all draws [draws], without those that are NaN; None where all are."""
    measured = means[~np.isnan(means)]
    if not len(measured):
        return None
    low, high = np.quantile(measured, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(low=float(low), high=float(high))
