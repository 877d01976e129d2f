"""What a run's records say together: means with their intervals, and the score.

A value is a mean over the records that have the measure; what none has is None. Percent, but for `kl` (nats) and
`fluency`. docs/metrics.md has a card for each.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from lib.metrics import bootstrap
from lib.metrics.scores import BESIDE, KINDS, SCORED, WHENS, by_edit, measured_on

_Z95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A mean over records with its 95 % interval, in the measure's unit."""

    mean: float
    ci95: float
    """Half the width of the interval."""
    n: int
    """Number of records."""


def summary(records: pl.DataFrame, measure: str) -> Summary | None:
    """Mean and interval of one measure over `records` of one kind and one time; None where it was not measured."""
    if measure not in records.columns:
        return None
    values = records[measure].drop_nulls().to_numpy()
    return summarized(values) if len(values) else None


def summarized(values: bootstrap.Floats) -> Summary:
    """Mean and interval, 1.96 * std (ddof 0) / sqrt(N), of at least one value."""
    return Summary(mean=float(values.mean()), ci95=float(_Z95 * values.std() / math.sqrt(len(values))), n=len(values))


def score(records: pl.DataFrame, measure: str) -> Summary | None:
    """The harmonic mean H of the three kinds' means a_k, over `records` of one time; None where a kind is missing.

    The interval is the delta method's over records. dH/da_k = H^2 / (3 a_k^2); a record's influence on H is the sum
    over the kinds k that it has of dH/da_k * (x_k - a_k) / N_k; the variance of H is the sum of squared influences.
    With all kinds in all N records that is g' S g / N, S being the kinds' covariance (ddof 0). A kind's mean is 0 only
    where all its values are; then H and its interval are 0.
    """
    measured = records.filter(pl.col(measure).is_not_null())
    summaries = {kind: summary(measured.filter(pl.col("kind") == kind), measure) for kind in KINDS}
    kinds = {kind: kind_summary for kind, kind_summary in summaries.items() if kind_summary is not None}
    n = measured["request_id"].n_unique()
    if len(kinds) < len(KINDS):
        return None
    if not all(kind.mean for kind in kinds.values()):
        return Summary(mean=0.0, ci95=0.0, n=n)
    harmonic = len(KINDS) / sum(1 / kind.mean for kind in kinds.values())
    weight = {name: harmonic**2 / (len(KINDS) * kind.mean**2) / kind.n for name, kind in kinds.items()}
    centred = pl.col(measure) - pl.col("kind").replace_strict({name: kind.mean for name, kind in kinds.items()})
    influence = (centred * pl.col("kind").replace_strict(weight)).sum().alias("influence")
    influences = measured.group_by("session", "request_id", maintain_order=True).agg(influence)["influence"].to_numpy()
    return Summary(mean=harmonic, ci95=float(_Z95 * math.sqrt((influences**2).sum())), n=n)


def details(
    records: pl.DataFrame, measure: str, resampling: bootstrap.Resampling = bootstrap.STANDARD
) -> dict[str, Any]:
    """Every measure of every kind before and after, and which `measure` is the headline: plain values for JSON.

    Beside mean, ci95 and n each has `bootstrap`: low and high of its percentile interval over edits.
    """
    return {
        "headline": measure,
        "n": records["request_id"].n_unique(),
        **{when: _details(records.filter(pl.col("when") == when), resampling) for when in WHENS},
    }


def _details(records: pl.DataFrame, resampling: bootstrap.Resampling) -> dict[str, Any]:
    kinds = {kind: records.filter(pl.col("kind") == kind) for kind in BESIDE}
    intervals = bootstrapped(by_edit(records), resampling)
    return {
        "score": {measure: _plain(score(records, measure), intervals[f"score.{measure}"]) for measure in SCORED},
        **{
            kind: {
                measure: _plain(summary(rows, measure), intervals.get(f"{kind}.{measure}"))
                for measure in measured_on(kind)
            }
            for kind, rows in kinds.items()
        },
    }


def bootstrapped(edits: pl.DataFrame, resampling: bootstrap.Resampling) -> dict[str, bootstrap.Interval | None]:
    """The percentile interval of every `kind.measure` and `score.measure` of by_edit's frame."""
    names = [name for name in edits.columns if name not in {"session", "request_id"}]
    if edits.is_empty():
        return dict.fromkeys([*names, *(f"score.{measure}" for measure in SCORED)])
    values = edits.select(pl.col(names).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    means = dict(zip(names, bootstrap.means(values, resampling).T, strict=True))
    for measure in SCORED:
        kinds = np.stack([means[f"{kind}.{measure}"] for kind in KINDS], axis=-1)
        means[f"score.{measure}"] = bootstrap.harmonic(kinds)
    return {name: bootstrap.interval(column) for name, column in means.items()}


def _plain(summary: Summary | None, interval: bootstrap.Interval | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    return _rounded(asdict(summary)) | {"bootstrap": None if interval is None else _rounded(asdict(interval))}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}
