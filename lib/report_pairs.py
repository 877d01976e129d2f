"""The edited model against the unedited one, edit by edit: the comparison of two runs, with no edit as the first."""

from collections.abc import Sequence

import polars as pl

from lib.comparison import FACTS, Comparison, Run, compare

UNEDITED, EDITED = "unedited", "edited"


def edited_against_unedited(
    edits: pl.DataFrame, scores: pl.DataFrame, others: Sequence[pl.DataFrame] = ()
) -> Comparison:
    """What the edit changes: A is the unedited model, B the edited one, of a sequential run after the last edit.

    `edits` has the columns edit_id and FACTS of edits.parquet, `scores` those of scores.parquet; `others` are
    lib.text_metrics'. A measure that only an edited model can have is not compared.
    """
    facts = edits.select("edit_id", *FACTS)
    return compare(
        Run(name=UNEDITED, edits=facts, scores=_unchanged(scores), others=[_unchanged(one) for one in others]),
        Run(name=EDITED, edits=facts, scores=scores, others=others),
    )


def _unchanged(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows before the edit, and the same again as those after it."""
    before = rows.filter(pl.col("when") == "before")
    return pl.concat([before, before.with_columns(when=pl.lit("after"), session=pl.lit(0, dtype=pl.Int64))])
