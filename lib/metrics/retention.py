"""What becomes of edits while more are made on top of them: scores of a sequential run, checkpoint by checkpoint.

At every checkpoint all edits so far are scored. An edit's immediate score is that of the first checkpoint which has it,
its final score that of the last.
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
    """One row a checkpoint, kind of prompt and group of edits (all so far, newest): mean, ci95 and n, in its unit.

    `records` are metrics.per_record's. No row where there is one session only.
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
        for group, edits in (("all so far", scored), ("newest", scored.filter(pl.col("first") == session))):
            for kind in ("score", *KINDS):
                if (figure := _summary(edits, kind, measure)) is not None:
                    row = {"edits": session, "group": group, "kind": kind, "mean": round(figure.mean, 4)}
                    rows.append(row | {"ci95": round(figure.ci95, 4), "n": figure.n})
    return rows


def _summary(records: pl.DataFrame, kind: str, measure: str) -> Summary | None:
    return score(records, measure) if kind == "score" else summary(records.filter(pl.col("kind") == kind), measure)


def immediate_and_final(records: pl.DataFrame, measure: str) -> dict[str, Any]:
    """Mean over edits of the immediate and of the final score of each kind, in percent; empty without sessions."""
    after = records.filter((pl.col("when") == "after") & pl.col(measure).is_not_null())
    if after["session"].n_unique() < 2:
        return {}
    order = pl.col(measure).sort_by("session")
    per_edit = after.group_by("kind", "request_id", maintain_order=True).agg(
        order.first().alias("immediate"), order.last().alias("final")
    )
    means = per_edit.group_by("kind", maintain_order=True).agg(pl.col("immediate").mean(), pl.col("final").mean())
    return {
        row["kind"]: {"immediate": round(row["immediate"], 2), "final": round(row["final"], 2)}
        for row in means.sort("kind").to_dicts()
    }
