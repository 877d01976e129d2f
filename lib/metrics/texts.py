"""What texts and distributions say of each edit: exact match, repetition, fluency, consistency, and KL.

Each function returns one row for every edit, time and session that it has rows of, under the columns of scores.py's
records, to which its `joined` adds them. A value is a mean over the edit's prompts of a kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import regex

from lib.core.inflection import mentions
from lib.core.texts import says
from lib.metrics.consistency import WordWeights, consistency
from lib.metrics.fluency import cleaned, fluency
from lib.metrics.repetition import is_sane_after, repeats
from lib.metrics.scores import RECORD


def of_run(
    generations: pl.DataFrame, divergences: pl.DataFrame, edits: pl.DataFrame, frequencies: WordWeights
) -> list[pl.DataFrame]:
    """Every measure of this module, in three frames; `edits` has request_id, target_new and references."""
    return [of_greedy(generations, edits), of_passages(generations, edits, frequencies), kl(divergences)]


_SENTENCE_END = regex.compile(r"(?V1)[.!?](?=\s|$)|\n|[\p{Sentence_Terminal}--[.!?]]")


def answers(text: str, target: str) -> bool:
    """Whether the first sentence of a chat answer, which chat models answer in, has the target or a form of it."""
    return mentions(_SENTENCE_END.split(text.strip(), maxsplit=1)[0], target)


def took(text: str, target: str) -> bool:
    """Whether a greedy continuation begins with the target and goes on as a text does."""
    return why_not(text, target) is None


def why_not(text: str, target: str) -> str | None:
    """Why an edit with this greedy continuation did not take; None where it did."""
    if not says(text, target):
        return "another answer"
    return None if is_sane_after(text, target) else "repeats itself"


def of_greedy(generations: pl.DataFrame, edits: pl.DataFrame) -> pl.DataFrame:
    """Of the greedy continuations of both kinds of an edit's own prompts, the percentage that

    - begins with its new object: exact_match;
    - does, and goes on without repeating itself: took;
    - repeats itself, whatever it begins with: repetition;
    - has the new object in its first sentence: answered.

    `generations` has the columns of records.Generation, `edits` request_id and target_new.
    """
    about_edits = (pl.col("decoding") == "greedy") & ~pl.col("kind").is_in(["implied", "implied_chat"])
    greedy = generations.filter(about_edits).join(edits, on="request_id")
    pairs = list(greedy.select("text", "target_new").iter_rows())
    measures = {
        "exact_match": [says(text, target) for text, target in pairs],
        "took": [took(text, target) for text, target in pairs],
        "repetition": [repeats(text) for text, _ in pairs],
        "answered": [answers(text, target) for text, target in pairs],
    }
    rows = greedy.with_columns(pl.Series(name, values, dtype=pl.Float64) * 100 for name, values in measures.items())
    return _means(rows, RECORD, measures)


def of_passages(generations: pl.DataFrame, edits: pl.DataFrame, frequencies: WordWeights) -> pl.DataFrame:
    """Fluency, and consistency where the edit has references, of the texts that were sampled.

    `edits` has request_id and references.
    """
    references: Mapping[str, Sequence[str]] = dict(edits.select("request_id", "references").iter_rows())
    sampled = generations.filter(pl.col("decoding") == "sampled").sort(*RECORD, "prompt_index")
    passages = sampled.with_columns((pl.col("prompt") + pl.col("text")).alias("passage"))
    records = passages.group_by(RECORD, maintain_order=True).agg("passage")
    texts = [[cleaned(passage) for passage in record] for record in records["passage"]]
    own_references = [references.get(request_id, ()) for request_id in records["request_id"]]
    return records.select(
        *map(pl.col, RECORD),
        pl.Series("fluency", list(map(fluency, texts)), dtype=pl.Float64),
        pl.Series("consistency", consistency(frequencies, texts, own_references), dtype=pl.Float64),
    )


def kl(divergences: pl.DataFrame) -> pl.DataFrame:
    """The mean KL to the unedited model over an edit's locality prompts, in nats; `divergences` are records'."""
    about: dict[str, Any] = {"when": pl.lit("after"), "kind": pl.lit("locality")}
    return _means(divergences, ("session", "request_id"), ["kl"]).with_columns(**about)


def _means(rows: pl.DataFrame, keys: Sequence[str], measures: Iterable[str]) -> pl.DataFrame:
    """The means over the prompts of each group, always in one order: a sum's last digit depends on it."""
    groups = rows.sort(*keys, "prompt_index").group_by(*keys, maintain_order=True)
    return groups.agg(pl.col([*measures]).mean())
