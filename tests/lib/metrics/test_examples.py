"""Which examples and passages the report shows."""

from dataclasses import replace

import polars as pl

from lib.metrics.examples import AnswerExample, Passage, examples, passages
from tests.helpers.pages import NLL


def test_passages_are_the_sampled_texts_after_the_first_prompt_of_the_first_edits() -> None:
    columns = ("request_id", "when", "decoding", "prompt_index", "prompt", "text")
    rows = [
        ("b", "before", "greedy", 0, "own", "no"), ("b", "before", "sampled", 0, "B", "1"),
        ("b", "before", "sampled", 1, "C", "no"), ("a", "before", "sampled", 0, "A", "2"),
        ("c", "before", "sampled", 0, "D", "no"), ("b", "after", "sampled", 0, "B", "3"),
    ]  # fmt: skip
    selected = passages(pl.DataFrame(rows, schema=list(columns), orient="row"), 2)
    assert selected == [Passage(prompt="B", before="1", after="3"), Passage(prompt="A", before="2", after=None)]


def test_examples_are_the_edits_with_a_continuation_those_that_did_not_take_first() -> None:
    edits = pl.DataFrame({"request_id": ["b", "a", "c", "d"], "prompt": ["B", "A", "C", "D"], "target_new": ["n"] * 4,
                          "target_true": ["t", None, "t", "t"]})  # fmt: skip
    rows = [("a", "after", "1"), ("b", "before", "2"), ("b", "after", " n."), ("d", "after", " n n")]
    generations = pl.DataFrame(rows, schema=["request_id", "when", "text"], orient="row")
    nll = pl.DataFrame({"request_id": ["a", "b"], **{name: [1.0, 2.0] for name in NLL}})
    first, second, third = examples(edits, generations, nll)
    assert replace(first, nll=NLL) == AnswerExample(
        prompt="A", target_new="n", target_true=None, before=None, after="1", nll=NLL, took=False,
        why_not="another answer",
    )  # fmt: skip
    assert (second.prompt, second.took, second.why_not) == ("D", False, "repeats itself")
    assert third == AnswerExample(
        prompt="B", target_new="n", target_true="t", before="2", after=" n.", nll=dict.fromkeys(NLL, 2.0), took=True,
        why_not=None,
    )  # fmt: skip
