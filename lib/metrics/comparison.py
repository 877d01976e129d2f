"""Two runs on the same edits, compared edit by edit: what B measures minus what A measures.

An edit that is easy is easy for both, so the differences spread less than the means do. Each measure has the mean
difference with two 95 % intervals (1.96 std / sqrt(N), std with ddof 0; and a percentile bootstrap over edits) and a
sign test: were A and B equal, then among the edits where they differ either would be ahead as often (two-sided, exact).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binomtest

from lib.core.errors import InputError
from lib.metrics import bootstrap, headline
from lib.metrics.retention import last_session
from lib.metrics.scores import KINDS, SCORED, by_edit, joined, per_record
from lib.metrics.summaries import summarized

FACTS = ("prompt", "target_new", "target_true")
"""What makes an edit the same in both runs, beside its request_id."""
LOWER_IS_BETTER = ("kl", "repetition")
"""Measures of which B is ahead where it has less."""
DECIMALS = 9
"""Of a difference; what is left beyond is the order in which an edit's prompts were added up."""


@dataclass(frozen=True, kw_only=True)
class RunTables:
    """The tables of one run, and the name it goes by in messages."""

    name: str
    edits: pl.DataFrame
    """Columns request_id and FACTS of requests.parquet."""
    scores: pl.DataFrame
    """scores.parquet."""
    text_measures: Sequence[pl.DataFrame] = ()
    """The frames of lib.metrics.texts, as far as the run left what they are computed from."""


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One measure of one kind of prompt, in its unit. A score is no mean over edits: it has no sign test."""

    kind: str
    measure: str
    n: int
    """Edits that have it in both runs."""
    a: float
    b: float
    difference: float
    """b - a."""
    ci95: float | None
    """Half the width of the normal interval of the difference."""
    bootstrap: bootstrap.Interval | None
    p_value: float | None
    wins: int | None
    """Edits on which B is ahead."""
    ties: int | None
    losses: int | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every measure that both runs have: those of the headline first, in its order."""

    a: str
    b: str
    n: int
    rows: Sequence[ComparisonRow]
    other_prompts: dict[str, int]
    """By kind: edits of which the two runs were asked other prompts, which the rows compare nonetheless."""


def compare(a: RunTables, b: RunTables, resampling: bootstrap.Resampling = bootstrap.STANDARD) -> Comparison:
    """The two runs after their edits; of a sequential run the last checkpoint.

    Raises InputError, saying how many edits are in one only, where they are not about the same facts.
    """
    check_same_facts(a, b)
    after_a, after_b = _after(a), _after(b)
    pairs = after_a.join(after_b, on="request_id", suffix=" b").sort("request_id")
    if len(pairs) < len(a.edits):
        raise InputError(
            f"{a.name} and {b.name}: {len(pairs)} of {len(a.edits)} edits have scores after the edit in both; "
            "wanted all. Run stage score of both again"
        )
    names = [name for name in after_a.columns if name in after_b.columns and "." in name]
    values_a, values_b = (_values(pairs, [name + suffix for name in names]) for suffix in ("", " b"))
    missing = np.isnan(values_a) | np.isnan(values_b)
    values_a, values_b = (np.where(missing, np.nan, values) for values in (values_a, values_b))
    means_a, means_b = np.split(bootstrap.means(np.concatenate([values_a, values_b], axis=1), resampling), 2, axis=1)
    columns = [
        _Column(name, values_a[:, index], values_b[:, index], means_a[:, index], means_b[:, index])
        for index, name in enumerate(names)
    ]
    measured = {column.name: column for column in columns if column.n}
    return Comparison(
        a=a.name,
        b=b.name,
        n=len(pairs),
        rows=sorted(
            [*_scores(measured), *(_row(column) for column in measured.values())],
            key=lambda row: headline.order(row.kind, row.measure),
        ),
        other_prompts=_other_prompts(a, b),
    )


def check_same_facts(a: RunTables, b: RunTables) -> None:
    """Raise InputError unless both runs are about the same edits, with the same prompt and objects."""
    facts_a, facts_b = a.edits.select("request_id", *FACTS), b.edits.select("request_id", *FACTS)
    only_a = facts_a.join(facts_b, on="request_id", how="anti")
    only_b = facts_b.join(facts_a, on="request_id", how="anti")
    pairs = facts_a.join(facts_b, on="request_id", suffix=" b")
    changed = pairs.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name} b")) for name in FACTS))
    if len(only_a) or len(only_b) or len(changed):
        raise InputError(
            f"{a.name} and {b.name} are not about the same facts: {len(only_a)} edits in {a.name} only, {len(only_b)} "
            f"in {b.name} only, {len(changed)} of the {len(pairs)} in both with another prompt or object. Compare runs "
            "with the same `dataset`, `facts` and `own`"
        )


@dataclass(frozen=True)
class _Column:
    """One measure: an edit's values under A and B, NaN in both where not measured, and the means of every draw."""

    name: str
    a: bootstrap.Floats  # [n]
    b: bootstrap.Floats  # [n]
    drawn_a: bootstrap.Floats  # [draws]
    drawn_b: bootstrap.Floats  # [draws]

    @property
    def n(self) -> int:
        return int((~np.isnan(self.a)).sum())

    @property
    def means(self) -> tuple[float, float]:
        return float(np.nanmean(self.a)), float(np.nanmean(self.b))


def _row(column: _Column) -> ComparisonRow:
    kind, measure = column.name.split(".")
    (a, b), differences = column.means, (column.b - column.a)[~np.isnan(column.a)].round(DECIMALS)
    summary = summarized(differences)
    better = -differences if measure in LOWER_IS_BETTER else differences
    wins, losses = int((better > 0).sum()), int((better < 0).sum())
    return ComparisonRow(
        kind=kind,
        measure=measure,
        n=column.n,
        a=a,
        b=b,
        difference=summary.mean,
        ci95=summary.ci95,
        bootstrap=bootstrap.interval(column.drawn_b - column.drawn_a),
        p_value=float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        wins=wins,
        ties=column.n - wins - losses,
        losses=losses,
    )


def _scores(measured: dict[str, _Column]) -> list[ComparisonRow]:
    """The harmonic mean of the three kinds, for every measure that has all three."""
    rows = []
    for measure in SCORED:
        kinds = [measured[name] for kind in KINDS if (name := f"{kind}.{measure}") in measured]
        if len(kinds) < len(KINDS):
            continue
        a, b = bootstrap.harmonic(np.array([column.means for column in kinds]).T).tolist()
        drawn_a, drawn_b = (
            bootstrap.harmonic(np.stack([getattr(column, side) for column in kinds], axis=-1))
            for side in ("drawn_a", "drawn_b")
        )
        rows.append(
            ComparisonRow(
                kind="score",
                measure=measure,
                n=max(column.n for column in kinds),
                a=a,
                b=b,
                difference=b - a,
                ci95=None,
                bootstrap=bootstrap.interval(drawn_b - drawn_a),
                p_value=None,
                wins=None,
                ties=None,
                losses=None,
            )
        )
    return rows


def _values(pairs: pl.DataFrame, names: Sequence[str]) -> bootstrap.Floats:
    return pairs.select(pl.col(names).cast(pl.Float64).fill_null(np.nan)).to_numpy()


def _after(run: RunTables) -> pl.DataFrame:
    """One row an edit: its measures after it, at the last session; sessions are told apart no more."""
    scored = per_record(last_session(run.scores.lazy()))
    records = joined(scored, [frame.join(scored, on="request_id", how="semi") for frame in run.text_measures])
    after = last_session(records).filter(pl.col("when") == "after")
    return by_edit(after.with_columns(session=pl.lit(0, dtype=pl.Int64)))


def _other_prompts(a: RunTables, b: RunTables) -> dict[str, int]:
    """By kind, the edits of which the runs were not asked the same prompts about the same targets."""
    columns = ("request_id", "kind", "prompt_index", "role", "prompt", "target")
    # Before the edit: after it, an in-context edit stands before each prompt.
    prompts_a, prompts_b = (run.scores.filter(pl.col("when") == "before").select(columns) for run in (a, b))
    different = pl.concat(
        [prompts_a.join(prompts_b, on=columns, how="anti"), prompts_b.join(prompts_a, on=columns, how="anti")]
    )
    counts = different.group_by("kind").agg(pl.col("request_id").n_unique()).sort("kind")
    return {kind: count for kind, count in counts.iter_rows() if kind in KINDS}


UNEDITED, EDITED = "unedited", "edited"


def edited_against_unedited(
    edits: pl.DataFrame, scores: pl.DataFrame, text_measures: Sequence[pl.DataFrame] = ()
) -> Comparison:
    """What the edit changes: A is the unedited model, B the edited one, of a sequential run after the last edit.

    `edits` has the columns request_id and FACTS of requests.parquet, `scores` those of scores.parquet; `text_measures`
    are lib.metrics.texts'. A measure that only an edited model can have is not compared.
    """
    facts = edits.select("request_id", *FACTS)
    return compare(
        RunTables(
            name=UNEDITED,
            edits=facts,
            scores=_unchanged(scores),
            text_measures=[_unchanged(frame) for frame in text_measures],
        ),
        RunTables(name=EDITED, edits=facts, scores=scores, text_measures=text_measures),
    )


def from_plain(values: Mapping[str, Any]) -> Comparison:
    """The comparison that dataclasses.asdict, or JSON, gave as plain values."""
    rows = [
        ComparisonRow(
            **{**row, "bootstrap": None if row["bootstrap"] is None else bootstrap.Interval(**row["bootstrap"])}
        )
        for row in values["rows"]
    ]
    return Comparison(**{**values, "rows": rows})


def _unchanged(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows before the edit, and the same again as those after it."""
    before = rows.filter(pl.col("when") == "before")
    return pl.concat([before, before.with_columns(when=pl.lit("after"), session=pl.lit(0, dtype=pl.Int64))])
