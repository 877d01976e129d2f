"""What a run's records say together: means with their intervals, the score, and the headline.

A value is a mean over the records that have the measure; what none has is None. Percent, but for `kl` (nats) and
`fluency`. docs/metrics.md has a card for each.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from lib.metrics import bootstrap
from lib.metrics.scores import BESIDE, KINDS, SCORED, WHENS, by_edit, measured_on

_Z95 = 1.96
_DECIMALS = {"kl": 4}
"""In the headline; others have two."""


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
    known = records.filter(pl.col(measure).is_not_null())
    means = {kind: summary(known.filter(pl.col("kind") == kind), measure) for kind in KINDS}
    n = known["request_id"].n_unique()
    found = {kind: one for kind, one in means.items() if one is not None}
    if len(found) < len(KINDS):
        return None
    if not all(one.mean for one in found.values()):
        return Summary(mean=0.0, ci95=0.0, n=n)
    harmonic = len(KINDS) / sum(1 / one.mean for one in found.values())
    weight = {kind: harmonic**2 / (len(KINDS) * one.mean**2) / one.n for kind, one in found.items()}
    centred = pl.col(measure) - pl.col("kind").replace_strict({kind: one.mean for kind, one in found.items()})
    influence = (centred * pl.col("kind").replace_strict(weight)).sum().alias("influence")
    influences = known.group_by("session", "request_id").agg(influence)["influence"].to_numpy()
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
    spread = bootstrapped(by_edit(records), resampling)
    return {
        "score": {one: _plain(score(records, one), spread[f"score.{one}"]) for one in SCORED},
        **{
            kind: {one: _plain(summary(rows, one), spread.get(f"{kind}.{one}")) for one in measured_on(kind)}
            for kind, rows in kinds.items()
        },
    }


def bootstrapped(edits: pl.DataFrame, resampling: bootstrap.Resampling) -> dict[str, bootstrap.Interval | None]:
    """The percentile interval of every `kind.measure` and `score.measure` of by_edit's frame."""
    names = [name for name in edits.columns if name not in {"session", "request_id"}]
    if edits.is_empty():
        return dict.fromkeys([*names, *(f"score.{one}" for one in SCORED)])
    values = edits.select(pl.col(names).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    drawn = dict(zip(names, bootstrap.means(values, resampling).T, strict=True))
    for one in SCORED:
        drawn[f"score.{one}"] = bootstrap.harmonic(np.stack([drawn[f"{kind}.{one}"] for kind in KINDS], axis=-1))
    return {name: bootstrap.interval(column) for name, column in drawn.items()}


def _plain(one: Summary | None, spread: bootstrap.Interval | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return _rounded(asdict(one)) | {"bootstrap": None if spread is None else _rounded(asdict(spread))}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}


def headline(details: Mapping[str, Any]) -> dict[str, Any]:
    """The headline measure of `details` for a metrics file, and what was measured beside it.

    After the edit on top, and the same under `before`.
    """
    return {**_headline(details, "after"), "before": _headline(details, "before")}


def _headline(details: Mapping[str, Any], when: str) -> dict[str, Any]:
    found, measure = details[when], details["headline"]
    values: dict[str, Any] = {"n": details["n"]}
    for name in ("score", *KINDS):
        values |= dict(_figures(name, found[name][measure], measure, with_n=False))
    for kind, measures in BESIDE.items():
        for one in measures:
            named = dict(_figures(kind if one == "exact_match" else one, found[kind][one], one))
            values |= {one: values.get(one, {}) | named} if one == "exact_match" else named
    return values


def _figures(name: str, one: Mapping[str, Any] | None, measure: str, with_n: bool = True) -> Iterator[tuple[str, Any]]:
    """A summary as (name, value) pairs for a metrics file; None where nothing was measured."""
    decimals = _DECIMALS.get(measure, 2)
    yield name, None if one is None else round(one["mean"], decimals)
    yield f"{name}_ci95", None if one is None else round(one["ci95"], decimals)
    if with_n:
        yield f"{name}_n", 0 if one is None else one["n"]
