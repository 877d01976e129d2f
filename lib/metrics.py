"""What scores say of an edit: success, magnitude and accuracy of its efficacy, generalization and locality.

Every measure sets the `target` of a prompt against its rival. On the edited prompt and its paraphrases the target is
the new object and the rival the true one; on a locality prompt it is the other way round. With p = exp(-NLL per token):

    success         p(target) > p(rival), strictly                              (CounterFact)
    magnitude       p(target) - p(rival)
    accuracy        every target token is the argmax                            (CounterFact)
    token_accuracy  share of target tokens that are the argmax                  (ZsRE)

A measure is averaged over a record's prompts, then over the records that have it. What was not measured is None: the
comparison with a true object that a record does not have, or a kind of prompt that no record has.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

KINDS = ("efficacy", "generalization", "locality")
MEASURES = ("success", "magnitude", "accuracy", "token_accuracy")
SCORED = ("success", "accuracy", "token_accuracy")
"""Measures of which a harmonic mean makes sense: magnitude may be negative."""
WHENS = ("before", "after")
HEADLINE = {"success": "success", "accuracy": "token_accuracy"}
"""The measure that a dataset preset's `metric` asks for. ZsRE's accuracy is the one per token."""

_RECORD = ("when", "kind", "session", "edit_id")
_Z95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A mean over records with its 95 % interval, both in percent."""

    mean: float
    ci95: float
    """Half the width of the interval."""
    n: int
    """Number of records."""


def per_prompt(scores: pl.LazyFrame) -> pl.LazyFrame:
    """One row a prompt: NLL per token of `target` and `rival`, and the four measures; null where not measured.

    `scores` holds the columns of records.Score.
    """
    per_token = pl.col("nll") / pl.col("tokens")
    is_target = (pl.col("kind") == "locality") == (pl.col("role") == "true")
    correct = pl.when(is_target).then(pl.col("correct") / pl.col("tokens"))
    return (
        scores.filter(pl.col("kind").is_in(KINDS))
        .group_by(*_RECORD, "prompt_index")
        .agg(
            pl.when(is_target).then(per_token).max().alias("target"),
            pl.when(~is_target).then(per_token).max().alias("rival"),
            correct.max().alias("token_accuracy"),
        )
        .with_columns(
            (pl.col("target") < pl.col("rival")).cast(pl.Float64).alias("success"),
            ((-pl.col("target")).exp() - (-pl.col("rival")).exp()).alias("magnitude"),
            (pl.col("token_accuracy") == 1).cast(pl.Float64).alias("accuracy"),
        )
    )


def per_record(scores: pl.LazyFrame) -> pl.DataFrame:
    """One row a record and kind: every measure's mean over its prompts, in percent; null where not measured.

    Raises ValueError where an NLL is not a number: no comparison with it would mean anything.
    """
    broken = scores.filter((pl.col("nll") / pl.col("tokens")).is_nan()).select(pl.len()).collect().item()
    if broken:
        raise ValueError(
            f"scores: {broken} rows have an NLL that is not a number; wanted finite ones. The edited model computes "
            "NaN: the edit has destroyed it (see the norms in metrics/edit.json)"
        )
    return per_prompt(scores).group_by(*_RECORD).agg(pl.col(MEASURES).mean() * 100).sort(*_RECORD).collect()


def check_complete(records: pl.DataFrame, edit_ids: pl.Series) -> None:
    """Raise ValueError unless `records`, which are per_record's, score just these edits before and after."""
    for when in WHENS:
        scored = records.filter((pl.col("when") == when) & (pl.col("kind") == "efficacy"))["edit_id"].unique()
        for one, where in (
            (edit_ids.filter(~edit_ids.is_in(scored.implode())), f"edits without a score {when} the edit"),
            (scored.filter(~scored.is_in(edit_ids.implode())), f"scores {when} of edits that are not in edits.parquet"),
        ):
            if len(one):
                raise ValueError(f"scores: {len(one)} {where}, the first is {one[0]!r}; run stage score again")


def summary(records: pl.DataFrame, measure: str) -> Summary | None:
    """Mean and interval, 1.96 * std (ddof 0) / sqrt(N), of one measure over `records` of one kind and one time."""
    values = records[measure].drop_nulls().to_numpy()
    if not len(values):
        return None
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
    n = known["edit_id"].n_unique()
    found = {kind: one for kind, one in means.items() if one is not None}
    if len(found) < len(KINDS):
        return None
    if not all(one.mean for one in found.values()):
        return Summary(mean=0.0, ci95=0.0, n=n)
    harmonic = len(KINDS) / sum(1 / one.mean for one in found.values())
    weight = {kind: harmonic**2 / (len(KINDS) * one.mean**2) / one.n for kind, one in found.items()}
    centred = pl.col(measure) - pl.col("kind").replace_strict({kind: one.mean for kind, one in found.items()})
    influence = (centred * pl.col("kind").replace_strict(weight)).sum().alias("influence")
    influences = known.group_by("session", "edit_id").agg(influence)["influence"].to_numpy()
    return Summary(mean=harmonic, ci95=float(_Z95 * math.sqrt((influences**2).sum())), n=n)


def details(records: pl.DataFrame, measure: str) -> dict[str, Any]:
    """Every measure of every kind before and after, and which `measure` is the headline: plain values for JSON."""
    return {
        "headline": measure,
        "n": records["edit_id"].n_unique(),
        **{when: _details(records.filter(pl.col("when") == when)) for when in WHENS},
    }


def _details(records: pl.DataFrame) -> dict[str, Any]:
    kinds = {kind: records.filter(pl.col("kind") == kind) for kind in KINDS}
    return {
        "score": {measure: _plain(score(records, measure)) for measure in SCORED},
        **{kind: {one: _plain(summary(rows, one)) for one in MEASURES} for kind, rows in kinds.items()},
    }


def _plain(one: Summary | None) -> dict[str, float] | None:
    return None if one is None else {name: round(value, 6) for name, value in asdict(one).items()}


def headline(details: Mapping[str, Any]) -> dict[str, Any]:
    """The headline measure of `details` for a metrics file: after the edit on top, and the same under `before`."""
    return {**_headline(details, "after"), "before": _headline(details, "before")}


def _headline(details: Mapping[str, Any], when: str) -> dict[str, Any]:
    values: dict[str, Any] = {"n": details["n"]}
    for name in ("score", *KINDS):
        found = details[when][name][details["headline"]]
        values[name] = None if found is None else round(found["mean"], 2)
        values[f"{name}_ci95"] = None if found is None else round(found["ci95"], 2)
    return values


def efficacy_nll(scores: pl.LazyFrame) -> pl.DataFrame:
    """One row an edit: NLL per token of its new and its true object on its own prompt, before and after.

    Columns: edit_id, new_before, true_before, new_after, true_after; null where not measured.
    """
    own = per_prompt(scores).filter((pl.col("kind") == "efficacy") & (pl.col("prompt_index") == 0))
    at = {when: pl.col("when") == when for when in WHENS}
    return (
        own.group_by("edit_id")
        .agg(
            pl.col(column).filter(at[when]).first().alias(f"{name}_{when}")
            for when in WHENS
            for name, column in (("new", "target"), ("true", "rival"))
        )
        .sort("edit_id")
        .collect()
    )


def took(records: pl.DataFrame, measure: str) -> pl.DataFrame:
    """Whether each edit took, as columns edit_id and took; `records` are per_record's, `measure` is the headline.

    With success: whether its new object is ahead of the true one; without it, or where the edit has no true object:
    whether every token of the new object is the argmax.
    """
    after = records.filter((pl.col("when") == "after") & (pl.col("kind") == "efficacy"))
    chosen = [pl.col("success"), pl.col("accuracy")] if measure == "success" else [pl.col("accuracy")]
    return after.select("edit_id", (pl.coalesce(chosen) == 100).alias("took"))
