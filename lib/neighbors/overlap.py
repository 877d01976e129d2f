"""The evaluation-overlap filter: no fact that is trained on may give away an evaluation answer, or
contradict an edit.

The paper's rule is that a fact may not contain the subject-relation-object triple of an evaluation prompt
("Model Editing by Standard Fine-Tuning", arXiv 2402.11078). Here the relation is left out of that comparison, and
prompts are compared as well, so that the filter is stricter. Texts are compared by their words (lib.core.texts), words
without the endings of English plurals (nations, cities) and of cases in Cyrillic and Greek script, so that a name is
found in both of its forms; those of other alphabets (Finnish, Polish) are compared as they are.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl

from lib.core.inflection import comparable
from lib.core.records import Fact, Request
from lib.core.tables import RowNumbers, Streamed, read

OverlapReason = Literal["triple", "prompt", "contradiction"]
_TRIPLE = {"subject": pl.String, "relation": pl.String, "target": pl.String}


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """The facts of a pool that may be trained on, and why the others may not."""

    rows: RowNumbers
    """The pool's rows with the facts that may be, ascending."""
    dropped: Mapping[OverlapReason, int]
    """Number of facts by the first reason that holds, in the order triple, prompt, contradiction."""


def without_overlap(requests: Sequence[Request], pool: Streamed) -> Filtered:
    """Drop every fact of the pool that overlaps with an evaluation prompt of any of `requests`.

    A part of the pool is held at a time. The reasons:

    triple: its subject occurs in an evaluation prompt, and its target is an answer of that prompt. Answers of a
        request's prompt and paraphrases are the new and the true target; of a locality prompt its own target and the
        new one.
    prompt: its prompt equals, contains or is contained in an evaluation prompt.
    contradiction: it has the subject of a request and the same relation, or, where one of the two does not name its
        relation, the target that the request replaces.
    """
    questions, edited_triples = _questions(requests), _edited_triples(requests)
    usable: list[RowNumbers] = [np.empty(0, dtype=np.int64)]
    dropped: dict[OverlapReason, int] = dict.fromkeys(get_args(OverlapReason), 0)
    for start, part in pool.parts("subject", "relation", "target", "prompt"):
        rows = _rows(part)
        for reason, overlapping in _overlapping(rows, questions, edited_triples).items():
            before = rows.height
            rows = rows.join(overlapping, on="row", how="anti")
            dropped[reason] += before - rows.height
        usable.append(rows["row"].sort().cast(pl.Int64).to_numpy() + start)
    return Filtered(rows=np.concatenate(usable), dropped=dropped)


def _overlapping(
    rows: pl.DataFrame, questions: pl.DataFrame, edited_triples: pl.DataFrame
) -> Mapping[OverlapReason, pl.DataFrame]:
    """For each reason, the facts for which it holds."""
    evaluation_prompts, fact_prompts = questions["prompt"].unique(), rows["prompt"].unique()
    inside = _occurrences(evaluation_prompts, pl.concat([fact_prompts, rows["subject"]]))
    around = _occurrences(fact_prompts, evaluation_prompts)
    answers = inside.join(questions, left_on="text", right_on="prompt").select(subject="part", target="answer")
    overlapping_prompts = pl.concat([inside.select(prompt="part"), around.select(prompt="text")])
    unnamed = pl.col("relation").is_null()
    contradicting = (
        rows.join(edited_triples, on=["subject", "relation"], how="semi"),
        rows.join(edited_triples.filter(unnamed), on=["subject", "target"], how="semi"),
        rows.filter(unnamed).join(edited_triples, on=["subject", "target"], how="semi"),
    )
    return {
        "triple": rows.join(answers, on=["subject", "target"], how="semi"),
        "prompt": rows.join(overlapping_prompts, on="prompt", how="semi"),
        "contradiction": pl.concat(contradicting),
    }


def _questions(requests: Sequence[Request]) -> pl.DataFrame:
    """Every evaluation prompt with each of its answers (`prompt`, `answer`), normalised, without duplicates."""
    questions = [question for request in requests for question in _prompts_with_answers(request)]
    columns = {"prompt": [prompt for prompt, _ in questions], "answer": [answers for _, answers in questions]}
    return pl.DataFrame(columns, {"prompt": pl.String, "answer": pl.List(pl.String)}).explode("answer").unique()


def _prompts_with_answers(request: Request) -> Iterator[tuple[str, tuple[str, ...]]]:
    new = comparable(request.target_new)
    answers = (new,) if request.target_true is None else (new, comparable(request.target_true))
    for prompt in (request.prompt, *request.paraphrases):
        yield comparable(prompt), answers
    for locality in request.locality:
        yield comparable(locality.prompt), (comparable(locality.target), new)


def _edited_triples(requests: Sequence[Request]) -> pl.DataFrame:
    """What facts may not contradict; `target` is the true target, which the request replaces."""
    rows = [(_name(request.subject), request.relation, _name(request.target_true)) for request in requests]
    return pl.DataFrame(rows, _TRIPLE, orient="row")


def _rows(facts: pl.DataFrame) -> pl.DataFrame:
    """Facts as they are compared, each with its row number among `facts` (`row`)."""
    columns = {
        "subject": [_name(subject) for subject in facts["subject"]],
        "relation": facts["relation"],
        "target": [comparable(target) for target in facts["target"]],
        "prompt": [comparable(prompt) for prompt in facts["prompt"]],
    }
    return pl.DataFrame(columns, {**_TRIPLE, "prompt": pl.String}).with_row_index("row")


def _name(text: str | None) -> str | None:
    """The comparable text; null where that leaves no words, which joins skip."""
    return comparable(text or "") or None


def _occurrences(texts: pl.Series, parts: pl.Series) -> pl.DataFrame:
    """All pairs (`text`, `part`) where the words of the part occur in the text, in order and without a gap.

    Both are normalised; an empty part occurs nowhere. The parts form a tree of words. In step k a position in a text
    stays if the k words from there on lead down to a node of the tree, so that no step holds more rows than there are
    words.
    """
    texts, parts = texts.unique(), parts.drop_nulls().unique()
    parts = parts.filter(parts != "")
    text_words, part_words = _words(texts), _words(parts)
    node = pl.lit(0, pl.UInt32).alias("node")
    positions = text_words.filter(pl.col("word") != "").select("text_row", "position", node)
    branches = part_words.group_by("text_row").agg(pl.col("position").min()).with_columns(node)
    matches = []
    while branches.height and positions.height:
        positions = positions.with_columns(text_words["word"].gather(positions["position"]))
        branches = branches.with_columns(part_words["word"].gather(branches["position"]))
        ended = branches.filter(pl.col("word") == "")
        matches.append(positions.join(ended, on="node").select(text="text_row", part="text_row_right"))
        branches = branches.filter(pl.col("word") != "")
        edges = branches.select("node", "word").unique().with_row_index("next")
        positions, branches = (_down(rows, edges) for rows in (positions, branches))
    pairs = pl.concat([pl.DataFrame(schema={"text": pl.UInt32, "part": pl.UInt32}), *matches]).unique()
    return pairs.select(text=texts.gather(pairs["text"]), part=parts.gather(pairs["part"]))


def _words(texts: pl.Series) -> pl.DataFrame:
    """One row per word: the row of its text (`text_row`) and its own (`position`). An empty word ends each text."""
    split = pl.DataFrame({"word": (texts + " ").str.split(" ")}).with_row_index("text_row")
    return split.explode("word").with_row_index("position")


def _down(rows: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """The rows whose word leads to a node of the tree, moved on by a word to that node."""
    moved = rows.join(edges, on=["node", "word"])
    return moved.select("text_row", pl.col("position") + 1, node="next")


def usable_facts(pool: Path, requests: Path) -> tuple[list[Fact], int]:
    """The facts of the pool that no request is scored on, and the number of all other facts.

    Of a fact's paraphrases and locality prompts those are left out that a request is scored on.
    """
    edits = read(requests, Request)
    usable = without_overlap(edits, Streamed(path=pool, kind=Fact))
    scored = {comparable(prompt) for edit in edits for prompt in edit.evaluation_prompts}
    facts = read(pool, Fact)
    return [_unscored(facts[row], scored) for row in usable.rows.tolist()], sum(usable.dropped.values())


def _unscored(fact: Fact, scored: Container[str]) -> Fact:
    """The fact without the paraphrases and locality prompts whose words are among `scored`."""
    return replace(
        fact,
        paraphrases=tuple(prompt for prompt in fact.paraphrases if comparable(prompt) not in scored),
        locality=tuple(statement for statement in fact.locality if comparable(statement.prompt) not in scored),
    )
