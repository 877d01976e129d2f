"""The evaluation-overlap filter: no fact that is trained on may give away what an edit is scored on, or contradict it.

The paper's rule is that a fact may not contain the subject-relation-object triple of an evaluation prompt
("Model Editing by Standard Fine-Tuning", arXiv 2402.11078). Here the relation is left out of that comparison, and
prompts are compared as well, so that the filter is stricter. Texts are compared by their words (lib.core.texts).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl

from lib.core.records import Fact, Request
from lib.core.tables import Rows, Streamed, read
from lib.core.texts import normalize

Reason = Literal["triple", "prompt", "contradiction"]
_TRIPLE = {"subject": pl.String, "relation": pl.String, "target": pl.String}


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """The facts of a pool that may be trained on, and why the others may not."""

    rows: Rows
    """The places in the pool of the facts that may be, ascending."""
    dropped: Mapping[Reason, int]
    """Number of facts by the first reason that holds, in the order triple, prompt, contradiction."""


def without_overlap(requests: Sequence[Request], pool: Streamed) -> Filtered:
    """Drop every fact of the pool that overlaps with what any of `requests` is scored on. Holds a part of it at a time.

    triple: its subject occurs in an evaluation prompt, and its target is an answer of that prompt. Answers of an edit's
        prompt and paraphrases are the new and the true target; of a locality prompt its own target and the new one.
    prompt: its prompt equals, contains or is contained in an evaluation prompt.
    contradiction: it has the subject of an edit and the same relation, or, where one of the two does not name its
        relation, the target that the edit replaces.
    """
    questions, edits = _questions(requests), _edits(requests)
    kept: list[Rows] = [np.empty(0, dtype=np.int64)]
    dropped: dict[Reason, int] = dict.fromkeys(get_args(Reason), 0)
    for start, part in pool.parts("subject", "relation", "target", "prompt"):
        rows = _rows(part)
        for reason, overlapping in _overlapping(rows, questions, edits).items():
            before = rows.height
            rows = rows.join(overlapping, on="row", how="anti")
            dropped[reason] += before - rows.height
        kept.append(rows["row"].sort().cast(pl.Int64).to_numpy() + start)
    return Filtered(rows=np.concatenate(kept), dropped=dropped)


def _overlapping(rows: pl.DataFrame, questions: pl.DataFrame, edits: pl.DataFrame) -> Mapping[Reason, pl.DataFrame]:
    """For each reason, the facts for which it holds."""
    asked, told = questions["prompt"].unique(), rows["prompt"].unique()
    inside = _occurrences(asked, pl.concat([told, rows["subject"]]))
    around = _occurrences(told, asked)
    answers = inside.join(questions, left_on="text", right_on="prompt").select(subject="part", target="answer")
    told_before = pl.concat([inside.select(prompt="part"), around.select(prompt="text")])
    unnamed = pl.col("relation").is_null()
    contradicting = (
        rows.join(edits, on=["subject", "relation"], how="semi"),
        rows.join(edits.filter(unnamed), on=["subject", "target"], how="semi"),
        rows.filter(unnamed).join(edits, on=["subject", "target"], how="semi"),
    )
    return {
        "triple": rows.join(answers, on=["subject", "target"], how="semi"),
        "prompt": rows.join(told_before, on="prompt", how="semi"),
        "contradiction": pl.concat(contradicting),
    }


def _questions(requests: Sequence[Request]) -> pl.DataFrame:
    """Every evaluation prompt with each of its answers (`prompt`, `answer`), normalised, without duplicates."""
    asked = [question for request in requests for question in _asked(request)]
    columns = {"prompt": [prompt for prompt, _ in asked], "answer": [answers for _, answers in asked]}
    return pl.DataFrame(columns, {"prompt": pl.String, "answer": pl.List(pl.String)}).explode("answer").unique()


def _asked(request: Request) -> Iterator[tuple[str, tuple[str, ...]]]:
    new = normalize(request.target_new)
    answers = (new,) if request.target_true is None else (new, normalize(request.target_true))
    for prompt in (request.prompt, *request.paraphrases):
        yield normalize(prompt), answers
    for one in request.locality:
        yield normalize(one.prompt), (normalize(one.target), new)


def _edits(requests: Sequence[Request]) -> pl.DataFrame:
    """What facts may not contradict; `target` is the true target, which the edit replaces."""
    rows = [(_name(one.subject), one.relation, _name(one.target_true)) for one in requests]
    return pl.DataFrame(rows, _TRIPLE, orient="row")


def _rows(facts: pl.DataFrame) -> pl.DataFrame:
    """Facts as they are compared, each with its place among `facts` (`row`)."""
    columns = {
        "subject": [_name(one) for one in facts["subject"]],
        "relation": facts["relation"],
        "target": [normalize(one) for one in facts["target"]],
        "prompt": [normalize(one) for one in facts["prompt"]],
    }
    return pl.DataFrame(columns, {**_TRIPLE, "prompt": pl.String}).with_row_index("row")


def _name(text: str | None) -> str | None:
    """The normalised text; null where that leaves no words, so that joins pass over it."""
    return normalize(text or "") or None


def _occurrences(texts: pl.Series, parts: pl.Series) -> pl.DataFrame:
    """All pairs (`text`, `part`) where the words of the part occur in the text, in order and without a gap.

    Both are normalised; an empty part occurs nowhere. The parts form a tree of words. In step k a place in a text stays
    if the k words from there on lead down to a node of the tree, so that no step holds more rows than there are words.
    """
    texts, parts = texts.unique(), parts.drop_nulls().unique()
    parts = parts.filter(parts != "")
    text_words, part_words = _words(texts), _words(parts)
    node = pl.lit(0, pl.UInt32).alias("node")
    places = text_words.filter(pl.col("word") != "").select("of", "place", node)
    ways = part_words.group_by("of").agg(pl.col("place").min()).with_columns(node)
    found = []
    while ways.height and places.height:
        places = places.with_columns(text_words["word"].gather(places["place"]))
        ways = ways.with_columns(part_words["word"].gather(ways["place"]))
        ended = ways.filter(pl.col("word") == "")
        found.append(places.join(ended, on="node").select(text="of", part="of_right"))
        ways = ways.filter(pl.col("word") != "")
        edges = ways.select("node", "word").unique().with_row_index("next")
        places, ways = (_down(one, edges) for one in (places, ways))
    pairs = pl.concat([pl.DataFrame(schema={"text": pl.UInt32, "part": pl.UInt32}), *found]).unique()
    return pairs.select(text=texts.gather(pairs["text"]), part=parts.gather(pairs["part"]))


def _words(texts: pl.Series) -> pl.DataFrame:
    """One row a word, with the row of its text (`of`) and its own (`place`); an empty word ends each text."""
    split = pl.DataFrame({"word": (texts + " ").str.split(" ")}).with_row_index("of")
    return split.explode("word").with_row_index("place")


def _down(rows: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """One word on: the rows whose word leads to a node, there."""
    on = rows.join(edges, on=["node", "word"])
    return on.select("of", pl.col("place") + 1, node="next")


def usable_facts(pool: Path, edits: Path) -> tuple[list[Fact], int]:
    """The facts of the pool that no edit is scored on, and the number of the others."""
    usable = without_overlap(read(edits, Request), Streamed(path=pool, kind=Fact))
    facts = read(pool, Fact)
    return [facts[row] for row in usable.rows.tolist()], sum(usable.dropped.values())
