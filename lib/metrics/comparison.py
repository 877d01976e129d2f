"""Two runs on the same edits, compared edit by edit: what B measures minus what A measures.

An edit that is easy is easy for both, so the differences spread less than the means do. Each measure has the mean
difference with two 95 % intervals (1.96 std / sqrt(N), std with ddof 0; and a percentile bootstrap over edits) and a
sign test: were A and B equal, then among the edits where they differ either would be ahead as often (two-sided, exact).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import binomtest

from lib.core.errors import InputError
from lib.metrics import bootstrap
from lib.metrics.retention import last_session
from lib.metrics.scores import KINDS, SCORED, by_edit, joined, per_record
from lib.metrics.summaries import summarized

FACTS = ("prompt", "target_new", "target_true")
"""What makes an edit the same in both runs, beside its request_id."""
DECIMALS = 9
"""Of a difference; what is left beyond is the order in which an edit's prompts were added up."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run left, and the name it goes by in messages."""

    name: str
    edits: pl.DataFrame
    """Columns request_id and FACTS of requests.parquet."""
    scores: pl.DataFrame
    """scores.parquet."""
    others: Sequence[pl.DataFrame] = ()
    """Of lib.metrics.texts, as far as the run left what they are computed from."""


@dataclass(frozen=True, kw_only=True)
class Row:
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
    """Every measure that both runs have."""

    a: str
    b: str
    n: int
    rows: Sequence[Row]
    other_prompts: dict[str, int]
    """By kind: edits of which the two runs were asked other prompts, which the rows compare nonetheless."""


def compare(a: Run, b: Run, resampling: bootstrap.Resampling = bootstrap.STANDARD) -> Comparison:
    """The two runs after their edits; of a sequential run the last checkpoint.

    Raises InputError, saying how many edits are in one only, where they are not about the same facts.
    """
    check_same_facts(a, b)
    ours, theirs = _after(a), _after(b)
    pairs = ours.join(theirs, on="request_id", suffix=" b").sort("request_id")
    if len(pairs) < len(a.edits):
        raise InputError(
            f"{a.name} and {b.name}: {len(pairs)} of {len(a.edits)} edits have scores after the edit in both; "
            "wanted all. Run stage score of both again"
        )
    names = [name for name in ours.columns if name in theirs.columns and "." in name]
    one, other = (_values(pairs, [name + end for name in names]) for end in ("", " b"))
    missing = np.isnan(one) | np.isnan(other)
    one, other = (np.where(missing, np.nan, values) for values in (one, other))
    drawn = np.split(bootstrap.means(np.concatenate([one, other], axis=1), resampling), 2, axis=1)
    columns = [
        _Column(name, one[:, at], other[:, at], drawn[0][:, at], drawn[1][:, at]) for at, name in enumerate(names)
    ]
    known = {column.name: column for column in columns if column.n}
    return Comparison(
        a=a.name,
        b=b.name,
        n=len(pairs),
        rows=[*_scores(known), *(_row(column) for column in known.values())],
        other_prompts=_other_prompts(a, b),
    )


def check_same_facts(a: Run, b: Run) -> None:
    """Raise InputError unless both runs are about the same edits, with the same prompt and objects."""
    ours, theirs = a.edits.select("request_id", *FACTS), b.edits.select("request_id", *FACTS)
    only_a, only_b = ours.join(theirs, on="request_id", how="anti"), theirs.join(ours, on="request_id", how="anti")
    both = ours.join(theirs, on="request_id", suffix=" b")
    changed = both.filter(pl.any_horizontal(pl.col(one).ne_missing(pl.col(f"{one} b")) for one in FACTS))
    if len(only_a) or len(only_b) or len(changed):
        raise InputError(
            f"{a.name} and {b.name} are not about the same facts: {len(only_a)} edits in {a.name} only, {len(only_b)} "
            f"in {b.name} only, {len(changed)} of the {len(both)} in both with another prompt or object. Compare runs "
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


def _row(column: _Column) -> Row:
    kind, measure = column.name.split(".")
    (a, b), differences = column.means, (column.b - column.a)[~np.isnan(column.a)].round(DECIMALS)
    summary = summarized(differences)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Row(
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


def _scores(known: dict[str, _Column]) -> list[Row]:
    """The harmonic mean of the three kinds, for every measure that has all three."""
    rows = []
    for measure in SCORED:
        kinds = [known[name] for kind in KINDS if (name := f"{kind}.{measure}") in known]
        if len(kinds) < len(KINDS):
            continue
        a, b = bootstrap.harmonic(np.array([one.means for one in kinds]).T).tolist()
        drawn_a, drawn_b = (
            bootstrap.harmonic(np.stack([getattr(one, side) for one in kinds], axis=-1))
            for side in ("drawn_a", "drawn_b")
        )
        rows.append(
            Row(
                kind="score",
                measure=measure,
                n=max(one.n for one in kinds),
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


def _after(run: Run) -> pl.DataFrame:
    """One row an edit: its measures after it, at the last session; sessions are told apart no more."""
    scored = per_record(last_session(run.scores.lazy()))
    records = joined(scored, [one.join(scored, on="request_id", how="semi") for one in run.others])
    after = last_session(records).filter(pl.col("when") == "after")
    return by_edit(after.with_columns(session=pl.lit(0, dtype=pl.Int64)))


def _other_prompts(a: Run, b: Run) -> dict[str, int]:
    """By kind, the edits of which the runs were not asked the same prompts about the same targets."""
    asked = ("request_id", "kind", "prompt_index", "role", "prompt", "target")
    # Before the edit: after it, an in-context edit stands before each prompt.
    ours, theirs = (run.scores.filter(pl.col("when") == "before").select(asked) for run in (a, b))
    unlike = pl.concat([ours.join(theirs, on=asked, how="anti"), theirs.join(ours, on=asked, how="anti")])
    counts = unlike.group_by("kind").agg(pl.col("request_id").n_unique()).sort("kind")
    return {kind: count for kind, count in counts.iter_rows() if kind in KINDS}


UNEDITED, EDITED = "unedited", "edited"


def edited_against_unedited(
    edits: pl.DataFrame, scores: pl.DataFrame, others: Sequence[pl.DataFrame] = ()
) -> Comparison:
    """What the edit changes: A is the unedited model, B the edited one, of a sequential run after the last edit.

    `edits` has the columns request_id and FACTS of requests.parquet, `scores` those of scores.parquet; `others` are
    lib.metrics.texts'. A measure that only an edited model can have is not compared.
    """
    facts = edits.select("request_id", *FACTS)
    return compare(
        Run(name=UNEDITED, edits=facts, scores=_unchanged(scores), others=[_unchanged(one) for one in others]),
        Run(name=EDITED, edits=facts, scores=scores, others=others),
    )


def _unchanged(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows before the edit, and the same again as those after it."""
    before = rows.filter(pl.col("when") == "before")
    return pl.concat([before, before.with_columns(when=pl.lit("after"), session=pl.lit(0, dtype=pl.Int64))])
