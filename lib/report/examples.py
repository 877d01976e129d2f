"""What the report shows of single edits: the unedited model's words beside the edited one's, and the likelihoods."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lib.metrics.scores import WHENS


@dataclass(frozen=True, kw_only=True)
class Example:
    """One edit with what the model says before and after; None where it was not asked."""

    prompt: str
    target_new: str
    target_true: str | None
    before: str | None
    """Greedy continuation by the unedited model."""
    after: str | None
    nll: Mapping[str, float | None]
    """NLL per token: new_before, true_before, new_after, true_after."""
    took: bool | None


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What the model writes after a generation prompt, from the same random stream before and after."""

    prompt: str
    before: str | None
    after: str | None


def passages(generations: pl.DataFrame, most: int) -> list[Passage]:
    """The sampled texts after the first generation prompt of the first `most` edits that have one.

    `generations` has the columns of records.Generation, of one session.
    """
    first = generations.filter((pl.col("decoding") == "sampled") & (pl.col("prompt_index") == 0))
    texts = {(one["request_id"], one["when"]): one["text"] for one in first.iter_rows(named=True)}
    prompts = dict(first.select("request_id", "prompt").iter_rows())
    return [
        Passage(prompt=prompt, before=texts.get((request_id, "before")), after=texts.get((request_id, "after")))
        for request_id, prompt in list(prompts.items())[:most]
    ]


def examples(edits: pl.DataFrame, generations: pl.DataFrame, nll: pl.DataFrame, took: pl.DataFrame) -> list[Example]:
    """The edits that have a generation, in the order of `edits`.

    `edits` has the columns of records.Request and `generations` those of records.Generation, of one session; `nll` is
    metrics.efficacy_nll's and `took` metrics.took's.
    """
    texts = {(one["request_id"], one["when"]): one["text"] for one in generations.iter_rows(named=True)}
    joined = edits.filter(pl.col("request_id").is_in(generations["request_id"].unique().implode()))
    joined = joined.join(nll, on="request_id", how="left", maintain_order="left").join(
        took, on="request_id", how="left", maintain_order="left"
    )
    return [
        Example(
            prompt=row["prompt"],
            target_new=row["target_new"],
            target_true=row["target_true"],
            before=texts.get((row["request_id"], "before")),
            after=texts.get((row["request_id"], "after")),
            nll={f"{name}_{when}": row[f"{name}_{when}"] for name in ("new", "true") for when in WHENS},
            took=row["took"],
        )
        for row in joined.iter_rows(named=True)
    ]
