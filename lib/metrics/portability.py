"""What the model says to the questions that edits imply: portability, and what must stay though it is close by.

Free text first: an answer is right where the greedy text begins with any of the right answers (a question continued) or
has one in its first sentence (asked in a chat template), as exact_match and answered_chat count the edit itself. Beside
it the teacher-forced token accuracy of the first answer, as KnowEdit reports it (arXiv 2401.01286). A value is a mean
over the edit's questions of a kind, then over edits; docs/evaluation.md has the kinds and their sources.

A question with conditions (RippleEdits, arXiv 2307.12976) counts where the unedited model answers all of them rightly:
in free text by its texts, teacher-forced where every token of the answer is the argmax. Others are `left_out`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lib.core.implied import FOLLOWING, STAYING, ImpliedKind
from lib.core.tables import frame, parquet
from lib.core.texts import says
from lib.metrics.scores import WHENS
from lib.metrics.summaries import summarized
from lib.metrics.texts import answers

PORTABILITY, RELATED = "portability", "locality_related"
"""Sections of metrics/evaluate.json: what follows from an edit, and other facts beside it that must stay."""
SECTIONS: Mapping[str, Sequence[ImpliedKind]] = {PORTABILITY: FOLLOWING, RELATED: STAYING}
_CONDITION: ImpliedKind = "condition"
_DIGITS = 4
_SHORT = 2
"""Letters of a name that may be a code or another word."""
_QUESTION = ("request_id", "prompt_index")


def questions(requests: Path) -> pl.DataFrame:
    """One row a question of requests.parquet: request_id, prompt_index, question_kind, prompt, answers and requires."""
    with parquet(requests) as file:
        has_questions = "implied" in file.schema_arrow.names
    schema = {"request_id": pl.String, "prompt_index": pl.Int64, "question_kind": pl.String, "prompt": pl.String}
    rows = frame(requests, ["request_id", "implied"]).iter_rows() if has_questions else iter(())
    return pl.DataFrame(
        [
            (request_id, index, *(question[name] for name in ("kind", "prompt", "answers", "requires")))
            for request_id, implied in rows
            for index, question in enumerate(implied)
        ],
        schema=schema | {"answers": pl.List(pl.String), "requires": pl.List(pl.String)},
        orient="row",
    )


def sections(questions: pl.DataFrame, generations: pl.DataFrame, scores: pl.LazyFrame) -> dict[str, Any]:
    """The sections, each with its kinds that have a question; empty where there is no question.

    A kind has `n` edits and `questions` whose texts were written, the means `before` and `after` in percent with the
    latter's `ci95`, and the same of `teacher_forced`. `generations` and `scores` are of one session after the edits.
    Where a question of the kind has conditions, `left_out` is how many questions do not count for theirs.
    """
    free, forced = (
        counted(rows) for rows in (right_texts(questions, generations), token_accuracies(questions, scores))
    )
    values = {
        name: {kind: entry for kind in kinds if (entry := _entry(free, kind) | _forced(forced, kind))}
        for name, kinds in SECTIONS.items()
    }
    return {name: kinds for name, kinds in values.items() if kinds}


def right_texts(questions: pl.DataFrame, generations: pl.DataFrame) -> pl.DataFrame:
    """`questions` with, for each text, `when` and `value`: 100 where any of the answers is in it, else 0."""
    written = generations.filter(pl.col("kind").is_in(["implied", "implied_chat"])).select(
        *_QUESTION, "when", "text", pl.col("kind").alias("text_kind")
    )
    rows = questions.join(written, on=_QUESTION, maintain_order="left")
    values = [
        100.0 * is_right(text, accepted, in_chat=text_kind == "implied_chat")
        for text_kind, text, accepted in rows.select("text_kind", "text", "answers").iter_rows()
    ]
    return rows.with_columns(pl.Series("value", values, dtype=pl.Float64))


def counted(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows`, which have `when` and `value`, with `counts`: whether the unedited model answers all that each requires.

    A condition that was not asked does not hold.
    """
    before = rows.filter((pl.col("question_kind") == _CONDITION) & (pl.col("when") == "before"))
    holds = before.group_by("request_id", "prompt").agg((pl.col("value") == 100.0).all().alias("holds"))
    held = {(request_id, prompt) for request_id, prompt, is_held in holds.iter_rows() if is_held}
    counts = [
        all((request_id, prompt) in held for prompt in requires)
        for request_id, requires in rows.select("request_id", "requires").iter_rows()
    ]
    return rows.with_columns(pl.Series("counts", counts, dtype=pl.Boolean))


def is_right(text: str, accepted: Sequence[str], in_chat: bool) -> bool:
    """Whether a text gives the answer, which is the first of `accepted`, or another name of it.

    Of other names of one or two letters the small ones are codes ("it", Italian) and do not count; the others ("UK")
    count as they are written alone.
    """
    answer, *names = accepted
    gives = answers if in_chat else says
    return gives(text, answer) or any(
        gives(text, name) and (len(name) > _SHORT or not name.isascii() or _has_word(text, name)) for name in names
    )


def _has_word(text: str, name: str) -> bool:
    """Whether the text has a short name to the letter, and it is no code."""
    return not name.islower() and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def token_accuracies(questions: pl.DataFrame, scores: pl.LazyFrame) -> pl.DataFrame:
    """`questions` with, for each score, `when` and `value`: the percentage of answer tokens that are the argmax."""
    value = 100 * pl.col("correct") / pl.col("tokens")
    scored = scores.filter((pl.col("kind") == "implied") & (pl.col("role") == "new"))
    columns = scored.select(*_QUESTION, "when", value.alias("value")).collect()
    return questions.join(columns, on=_QUESTION, maintain_order="left")


def _entry(rows: pl.DataFrame, kind: ImpliedKind) -> dict[str, Any]:
    """Edits, questions, and means with an interval over edits; empty where there is no row of this kind."""
    measured = rows.filter(pl.col("question_kind") == kind)
    of_kind = measured.filter("counts")
    means = {
        when: summarized(by_edit["value"].to_numpy())
        for when in WHENS
        if not (by_edit := _by_edit(of_kind.filter(pl.col("when") == when))).is_empty()
    }
    if measured.is_empty():
        return {}
    after = means.get("after")
    has_conditions = bool((measured["requires"].list.len() > 0).any())
    return {
        "n": max((summary.n for summary in means.values()), default=0) if after is None else after.n,
        "questions": _distinct(of_kind),
        **({"left_out": _distinct(measured) - _distinct(of_kind)} if has_conditions else {}),
        **{when: round(means[when].mean, _DIGITS) if when in means else None for when in WHENS},
        "ci95": None if after is None else round(after.ci95, _DIGITS),
    }


def _distinct(rows: pl.DataFrame) -> int:
    """How many questions the rows are of."""
    return rows.select(_QUESTION).unique().height


def _forced(rows: pl.DataFrame, kind: ImpliedKind) -> dict[str, Any]:
    entry = _entry(rows, kind)
    return {"teacher_forced": entry} if entry else {}


def _by_edit(rows: pl.DataFrame) -> pl.DataFrame:
    """The mean of every edit, always in one order: a sum's last digit depends on it."""
    return rows.group_by("request_id", maintain_order=True).agg(pl.col("value").mean())
