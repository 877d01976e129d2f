"""The rows behind the plots, for `dvc plots` and for the report: plain values, small however many edits there are."""

import math
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from lib.metrics.headline import COLUMNS
from lib.metrics.scores import KINDS, WHENS

PlotRows = list[dict[str, Any]]

POINTS = 2_000
"""At most so many edits are drawn as points: every k-th in the order of their ids."""
_DIGITS = 4
_ENDS_SCRIPT = re.compile("<(?=[/!])")
_NO_WIDTH = "\u2060"


def score_rows(numbers: Mapping[str, Any]) -> PlotRows:
    """The headline's percentages before and after, with intervals; what was not measured has no row.

    `numbers` are lib.metrics.headline's.
    """
    rows = []
    for column in (column for column in COLUMNS if column.unit == "percent"):
        for when in WHENS:
            value = (numbers["before"] if when == "before" else numbers).get(column.name)
            if value is not None:
                row = {"metric": column.title, "when": when, "label": f"{column.title}, {when}", "value": value}
                ci95 = numbers[f"{column.name}_ci95"] if when == "after" else None
                rows.append(row | {"ci95": ci95, "n": numbers["counts"][column.name]})
    return rows


def relation_rows(records: pl.DataFrame, edits: pl.DataFrame, measure: str) -> PlotRows:
    """The three kinds' means after the edit for every relation, in percent, the relation with most edits first.

    `records` are metrics.per_record's, `edits` has the columns request_id and relation. A relation that is not known,
    or of which nothing was measured, has no row.
    """
    after = records.filter(pl.col("when") == "after").join(edits, on="request_id", maintain_order="left")
    kinds = [pl.col(measure).filter(pl.col("kind") == kind).mean().round(_DIGITS).alias(kind) for kind in KINDS]
    return (
        after.filter(pl.col("relation").is_not_null() & pl.col(measure).is_not_null())
        .group_by("relation")
        .agg(pl.col("request_id").n_unique().alias("n"), *kinds)
        .sort("n", "relation", descending=[True, False])
        .to_dicts()
    )


def locality_rows(records: pl.DataFrame, neighbors: pl.DataFrame, measure: str) -> PlotRows:
    """Per edit: its locality before and after, in percent, and the mean similarity of its training neighbors.

    `neighbors` has the columns request_id and similarity; the mean is None where they were drawn at random or
    not at all.
    """
    similarity = neighbors.group_by("request_id", maintain_order=True).agg(pl.col("similarity").mean().round(_DIGITS))
    local = records.filter((pl.col("kind") == "locality") & pl.col(measure).is_not_null())
    at = [pl.col(measure).filter(pl.col("when") == when).first().round(_DIGITS).alias(when) for when in WHENS]
    edits = local.group_by("request_id").agg(at).filter(pl.col("after").is_not_null())
    return _thinned(edits.join(similarity, on="request_id", how="left").sort("request_id")).to_dicts()


def nll_rows(nll: pl.DataFrame) -> PlotRows:
    """Per edit: NLL per token of its true object minus that of its new one, before and after; above 0 it has taken.

    `nll` is metrics.efficacy_nll's. Edits without a true object have no row.
    """
    margins = [(pl.col(f"true_{when}") - pl.col(f"new_{when}")).round(_DIGITS).alias(when) for when in WHENS]
    return _thinned(nll.select("request_id", *margins).drop_nulls()).to_dicts()


def in_script(rows: PlotRows) -> PlotRows:
    """The rows for the page of `dvc plots`, which has them in a <script> as they are.

    What would end the script, or begin a comment in it, has a mark of no width after its first letter.
    """
    return [
        {
            name: _ENDS_SCRIPT.sub(f"<{_NO_WIDTH}", value) if isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _thinned(edits: pl.DataFrame) -> pl.DataFrame:
    return edits.gather_every(max(1, math.ceil(len(edits) / POINTS)))
