"""The edited model against the unedited one, edit by edit: the comparison of two runs, with no edit as the first."""

import polars as pl

from lib.comparison import FACTS, Comparison, Run, compare

UNEDITED, EDITED = "unedited", "edited"


def edited_against_unedited(edits: pl.DataFrame, scores: pl.DataFrame) -> Comparison:
    """What the edit changes: A is the unedited model, B the edited one, of a sequential run after the last edit.

    `edits` has the columns edit_id and FACTS of edits.parquet, `scores` those of scores.parquet.
    """
    before = scores.filter(pl.col("when") == "before")
    unchanged = before.with_columns(when=pl.lit("after"), session=pl.lit(0, dtype=pl.Int64))
    facts = edits.select("edit_id", *FACTS)
    return compare(
        Run(name=UNEDITED, edits=facts, scores=pl.concat([before, unchanged])),
        Run(name=EDITED, edits=facts, scores=scores),
    )
