"""What scores say of each edit: success, magnitude and accuracy of its efficacy, generalization and locality.

Every measure sets the `target` of a prompt against its rival. On the edited prompt and its paraphrases the target is
the new object and the rival the true one; on a locality prompt it is the other way round. With p = exp(-NLL per token):

    success           p(target) > p(rival), strictly                              (CounterFact)
    magnitude         p(target) - p(rival)
    accuracy          every target token is the argmax                            (CounterFact)
    token_accuracy    share of target tokens that are the argmax                  (ZsRE)
    unchanged         every argmax token at the target's positions is what it was before; locality only
    unchanged_tokens  share of those tokens that are what they were before; locality only
    easyedit          token_accuracy, and on locality prompts unchanged_tokens  (EasyEdit)

docs/metrics.md has a card for each. A measure is averaged over a record's prompts here, over records in summaries.py.
What was not measured is null: the comparison with a true object that a record does not have, a change before there is
one.
"""

from collections.abc import Iterable

import polars as pl

from lib.core.errors import InputError

KINDS = ("efficacy", "generalization", "locality")
LOCALITY_ONLY = ("unchanged", "unchanged_tokens")
MEASURES = ("success", "magnitude", "accuracy", "token_accuracy", *LOCALITY_ONLY, "easyedit")
SCORED = ("success", "accuracy", "token_accuracy", "easyedit")
"""Measures of which a harmonic mean makes sense: magnitude may be negative."""
WHENS = ("before", "after")
HEADLINE = {"success": "success", "accuracy": "token_accuracy"}
"""The measure that a dataset preset's `metric` asks for. ZsRE's accuracy is the one per token."""
GENERATION = "generation"
"""The kind of an edit's generation prompts, which have no target."""
CHAT = "chat"
"""The kind of an edit's question in the chat template."""
BESIDE = {
    "efficacy": ("exact_match", "took", "repetition"),
    "generalization": ("exact_match", "took", "repetition"),
    "locality": ("kl",),
    GENERATION: ("fluency", "consistency"),
    CHAT: ("answered",),
}
"""Measures of each kind that do not come from scores: see lib.metrics.texts."""

RECORD = ("when", "kind", "session", "request_id")
"""What a row of per_record's frame is about."""


def per_prompt(scores: pl.LazyFrame) -> pl.LazyFrame:
    """One row a prompt: NLL per token of `target` and `rival`, and the measures; null where not measured.

    `scores` holds the columns of records.Score. Without `argmax`, LOCALITY_ONLY are not measured.
    """
    per_token = pl.col("nll") / pl.col("tokens")
    is_target = (pl.col("kind") == "locality") == (pl.col("role") == "true")
    correct = pl.when(is_target).then(pl.col("correct") / pl.col("tokens"))
    if "argmax" not in scores.collect_schema():
        scores = scores.with_columns(argmax=pl.lit(None, dtype=pl.List(pl.Int64)))
    prompts = (
        scores.filter(pl.col("kind").is_in(KINDS))
        .group_by(*RECORD, "prompt_index")
        .agg(
            pl.when(is_target).then(per_token).max().alias("target"),
            pl.when(~is_target).then(per_token).max().alias("rival"),
            correct.max().alias("token_accuracy"),
            pl.col("argmax").filter(is_target).first().alias("answer"),
        )
    )
    return _with_unchanged(prompts).with_columns(
        (pl.col("target") < pl.col("rival")).cast(pl.Float64).alias("success"),
        ((-pl.col("target")).exp() - (-pl.col("rival")).exp()).alias("magnitude"),
        (pl.col("token_accuracy") == 1).cast(pl.Float64).alias("accuracy"),
        pl.when(pl.col("kind") == "locality").then("unchanged_tokens").otherwise("token_accuracy").alias("easyedit"),
    )


def _with_unchanged(prompts: pl.LazyFrame) -> pl.LazyFrame:
    """`prompts` with `unchanged_tokens`, the share of positions at which `answer` is what it was before the edit.

    And `unchanged`: 1 where all are, else 0. Both are null but on locality prompts after the edit, and where `answer`
    has not as many tokens as before.
    """
    key = ("kind", "request_id", "prompt_index")
    before = prompts.filter((pl.col("when") == "before") & (pl.col("kind") == "locality"))
    same_length = (pl.col("when") == "after") & (pl.col("answer").list.len() == pl.col("answer_before").list.len())
    is_same = (pl.element() == 0).cast(pl.Float64)
    return (
        prompts.join(before.select(*key, answer_before="answer"), on=key, how="left")
        .with_columns(pl.when(same_length).then("answer_before").alias("answer_before"))
        .with_columns((pl.col("answer") - pl.col("answer_before")).alias("moved"))
        .with_columns(pl.col("moved").list.eval(is_same).list.mean().alias("unchanged_tokens"))
        .with_columns((pl.col("unchanged_tokens") == 1).cast(pl.Float64).alias("unchanged"))
        .drop("answer", "answer_before", "moved")
    )


def per_record(scores: pl.LazyFrame) -> pl.DataFrame:
    """One row a record and kind: every measure's mean over its prompts, in percent; null where not measured.

    Raises InputError where an NLL is not a number: no comparison with it would mean anything.
    """
    broken = scores.filter((pl.col("nll") / pl.col("tokens")).is_nan()).select(pl.len()).collect().item()
    if broken:
        raise InputError(
            f"scores: {broken} rows have an NLL that is not a number; wanted finite ones. The edited model computes "
            "NaN: the edit has destroyed it (see the norms in results/edit.json)"
        )
    prompts = per_prompt(scores).sort(*RECORD, "prompt_index")  # a sum's last digit depends on the order
    return prompts.group_by(*RECORD, maintain_order=True).agg(pl.col(MEASURES).mean() * 100).collect()


def joined(records: pl.DataFrame, text_measures: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """`records` with a column for each measure of `text_measures`; null where a row has none of it."""
    for frame in text_measures:
        records = records.join(frame, on=RECORD, how="full", coalesce=True)
    return records.sort(RECORD)


def check_complete(records: pl.DataFrame, request_ids: pl.Series) -> None:
    """Raise InputError unless `records`, which are per_record's, score just these edits before and after."""
    for when in WHENS:
        scored = records.filter((pl.col("when") == when) & (pl.col("kind") == "efficacy"))["request_id"].unique()
        unscored = request_ids.filter(~request_ids.is_in(scored.implode()))
        unknown = scored.filter(~scored.is_in(request_ids.implode()))
        for ids, problem in (
            (unscored, f"edits without a score {when} the edit"),
            (unknown, f"scores {when} of edits that are not in requests.parquet"),
        ):
            if len(ids):
                raise InputError(f"scores: {len(ids)} {problem}, the first is {ids[0]!r}; run stage score again")


def measured_on(kind: str) -> tuple[str, ...]:
    """The measures that make sense of a kind of prompt."""
    if kind in (GENERATION, CHAT):
        return BESIDE[kind]
    of_scores = (measure for measure in MEASURES if kind == "locality" or measure not in LOCALITY_ONLY)
    return (*of_scores, *BESIDE[kind])


def by_edit(records: pl.DataFrame) -> pl.DataFrame:
    """One row an edit, in order of request_id, and a column `kind.measure` for each that `records` have; null as there.

    `records` are per_record's of one time and one session, with or without the columns of lib.metrics.texts.
    """
    columns = [
        pl.col(measure).filter(pl.col("kind") == kind).first().alias(f"{kind}.{measure}")
        for kind in BESIDE
        for measure in measured_on(kind)
        if measure in records.columns
    ]
    return records.group_by("session", "request_id").agg(columns).sort("request_id", "session")


def efficacy_nll(scores: pl.LazyFrame) -> pl.DataFrame:
    """One row an edit: NLL per token of its new and its true object on its own prompt, before and after.

    Columns: request_id, new_before, true_before, new_after, true_after; null where not measured.
    """
    edited_prompts = per_prompt(scores).filter((pl.col("kind") == "efficacy") & (pl.col("prompt_index") == 0))
    at = {when: pl.col("when") == when for when in WHENS}
    return (
        edited_prompts.group_by("request_id")
        .agg(
            pl.col(column).filter(at[when]).first().alias(f"{name}_{when}")
            for when in WHENS
            for name, column in (("new", "target"), ("true", "rival"))
        )
        .sort("request_id")
        .collect()
    )
