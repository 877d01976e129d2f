"""What else the model says about the subjects that are edited: the locality prompts that name them.

An edit harms there first. KnowEdit asks it as other relations of the same subject (arXiv 2401.01286); CounterFact's
locality prompts are about other subjects and show nothing of it.
"""

from typing import Any

import polars as pl

from lib.core.texts import contains
from lib.metrics.scores import per_prompt
from lib.metrics.summaries import summarized

OWN_SUBJECT = "unchanged_own_subject"
"""Section of metrics/evaluate.json."""
_DIGITS = 4


def own_subject(edits: pl.DataFrame, scores: pl.LazyFrame) -> dict[str, Any]:
    """The section, of `unchanged` on these prompts alone; empty where no locality prompt names its edit's subject.

    It has `n` edits and their `prompts`, and `after` in percent, a mean over an edit's prompts, then over edits, with
    `ci95`.

    Args:
        edits: request_id and subject of requests.parquet.
        scores: of one session after the edits, and before them.
    """
    named = scores.filter((pl.col("kind") == "locality") & (pl.col("when") == "after"))
    prompts = named.select("request_id", "prompt_index", "prompt").unique().collect()
    subjects = dict(edits.select("request_id", "subject").iter_rows())
    is_own = [contains(prompt, subjects[request_id] or "") for request_id, _, prompt in prompts.iter_rows()]
    own = prompts.filter(pl.Series(is_own, dtype=pl.Boolean)).select("request_id", "prompt_index")
    if own.is_empty():  # as of CounterFact: the measures of its prompts are not computed once more
        return {}
    measured = per_prompt(scores.filter(pl.col("kind") == "locality")).filter(pl.col("unchanged").is_not_null())
    rows = measured.join(own.lazy(), on=["request_id", "prompt_index"], how="inner").collect()
    if rows.is_empty():
        return {}
    by_edit = rows.group_by("request_id").agg(pl.col("unchanged").mean() * 100).sort("request_id")
    summary = summarized(by_edit["unchanged"].to_numpy())
    after, ci95 = round(summary.mean, _DIGITS), round(summary.ci95, _DIGITS)
    return {OWN_SUBJECT: {"n": summary.n, "prompts": rows.height, "after": after, "ci95": ci95}}
