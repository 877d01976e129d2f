"""What becomes of edits while more are made on top of them: scores of a sequential run, checkpoint by checkpoint.

At every checkpoint all edits so far are scored. An edit's immediate score is that of the first checkpoint which has it,
its final score that of the last. The oldest edits are those of the first checkpoint: all others were made after them.
"""

from typing import Any, TypeVar

import polars as pl

from lib.metrics.scores import KINDS
from lib.metrics.summaries import Summary, score, summary

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def last_session(rows: Frame) -> Frame:
    """The rows before editing, and after it those of the last session: what a run's headline is about."""
    last = rows.lazy().filter(pl.col("when") == "after").select(pl.col("session").max()).collect().item()
    return rows.filter((pl.col("when") == "before") | (pl.col("session") == last))


def curve(records: pl.DataFrame, measure: str) -> list[dict[str, Any]]:
    """One row a checkpoint, kind of prompt and group of edits: mean, ci95 and n, in its unit.

    The groups are all so far, the oldest, and the newest: those that the checkpoint before does not have. `records` are
    metrics.per_record's. No row where there is one session only.
    """
    after = records.filter(pl.col("when") == "after")
    sessions = after["session"].unique().sort().to_list()
    if len(sessions) < 2:
        return []
    first = after.group_by("request_id").agg(pl.col("session").min().alias("first"))
    after = after.join(first, on="request_id", maintain_order="left")
    rows = []
    for session in sessions:
        scored = after.filter(pl.col("session") == session)
        first_made = pl.col("first")
        groups = {
            "all so far": scored,
            "oldest": scored.filter(first_made == sessions[0]),
            "newest": scored.filter(first_made == session),
        }
        for group, edits in groups.items():
            for kind in ("score", *KINDS):
                if (figure := _summary(edits, kind, measure)) is not None:
                    row = {"edits": session, "group": group, "kind": kind, "mean": round(figure.mean, 4)}
                    rows.append(row | {"ci95": round(figure.ci95, 4), "n": figure.n})
    return rows


def _summary(records: pl.DataFrame, kind: str, measure: str) -> Summary | None:
    return score(records, measure) if kind == "score" else summary(records.filter(pl.col("kind") == kind), measure)


def immediate_and_final(records: pl.DataFrame, measure: str) -> dict[str, Any]:
    """Mean over edits of the immediate and the final score of each kind, in percent; empty without sessions.

    The same of the oldest edits alone: `oldest_immediate`, `oldest_final`.
    """
    after = records.filter((pl.col("when") == "after") & pl.col(measure).is_not_null())
    if after["session"].n_unique() < 2:
        return {}
    first = pl.col("session").min()
    by_session = pl.col(measure).sort_by("session")
    per_edit = after.group_by("kind", "request_id", maintain_order=True).agg(
        first.alias("first"), by_session.first().alias("immediate"), by_session.last().alias("final")
    )
    oldest = pl.col("first") == per_edit["first"].min()
    columns = [pl.col(name).mean().round(2) for name in ("immediate", "final")]
    columns += [pl.col(name).filter(oldest).mean().round(2).alias(f"oldest_{name}") for name in ("immediate", "final")]
    means = per_edit.group_by("kind", maintain_order=True).agg(columns).sort("kind").to_dicts()
    return {row.pop("kind"): row for row in means}
