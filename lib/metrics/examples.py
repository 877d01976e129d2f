"""Single edits for the report: the unedited model's texts beside the edited one's, and the likelihoods."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lib.metrics.retention import last_session
from lib.metrics.scores import WHENS, efficacy_nll
from lib.metrics.texts import took, why_not


@dataclass(frozen=True, kw_only=True)
class AnswerExample:
    """One edit with what the model writes before and after; None where no text was generated."""

    prompt: str
    target_new: str
    target_true: str | None
    before: str | None
    """Greedy continuation by the unedited model."""
    after: str | None
    nll: Mapping[str, float | None]
    """NLL per token: new_before, true_before, new_after, true_after."""
    took: bool | None
    """Whether the edited model writes the new object and goes on sanely."""
    why_not: str | None
    """What is wrong with its text; None where nothing is, or there is none."""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What the model writes after a generation prompt, from the same random stream before and after."""

    prompt: str
    before: str | None
    after: str | None


def passages(generations: pl.DataFrame, limit: int) -> list[Passage]:
    """The sampled texts after the first generation prompt of the first `limit` edits that have one.

    `generations` has the columns of records.Generation, of one session.
    """
    first = generations.filter((pl.col("decoding") == "sampled") & (pl.col("prompt_index") == 0))
    texts = {(row["request_id"], row["when"]): row["text"] for row in first.iter_rows(named=True)}
    prompts = dict(first.select("request_id", "prompt").iter_rows())
    return [
        Passage(prompt=prompt, before=texts.get((request_id, "before")), after=texts.get((request_id, "after")))
        for request_id, prompt in list(prompts.items())[:limit]
    ]


def examples(edits: pl.DataFrame, generations: pl.DataFrame, nll: pl.DataFrame) -> list[AnswerExample]:
    """The edits that have a generation: first those that did not take, each part in the order of `edits`.

    `edits` has the columns of records.Request and `generations` those of records.Generation, of one session and of the
    edited prompts; `nll` is metrics.efficacy_nll's.
    """
    texts = {(row["request_id"], row["when"]): row["text"] for row in generations.iter_rows(named=True)}
    joined = edits.filter(pl.col("request_id").is_in(generations["request_id"].unique().implode()))
    joined = joined.join(nll, on="request_id", how="left", maintain_order="left")
    in_order = [
        AnswerExample(
            prompt=row["prompt"],
            target_new=row["target_new"],
            target_true=row["target_true"],
            before=texts.get((row["request_id"], "before")),
            after=(text := texts.get((row["request_id"], "after"))),
            nll={f"{name}_{when}": row[f"{name}_{when}"] for name in ("new", "true") for when in WHENS},
            took=None if text is None else took(text, row["target_new"]),
            why_not=None if text is None else why_not(text, row["target_new"]),
        )
        for row in joined.iter_rows(named=True)
    ]
    return sorted(in_order, key=lambda example: example.took is not False)


def failures_first(
    edits: pl.DataFrame, scores: pl.LazyFrame, generations: pl.DataFrame, limit: int
) -> list[AnswerExample]:
    """`limit` of the edits that have greedy continuations, with their scores after the last session."""
    greedy = last_session(generations).filter(pl.col("kind") == "efficacy")
    return examples(edits, greedy, efficacy_nll(last_session(scores)))[:limit]
