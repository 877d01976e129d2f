"""Which examples and passages the report shows."""

from dataclasses import replace

import polars as pl

from lib.metrics.examples import Example, Passage, examples, passages
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


def test_examples_are_the_edits_with_a_continuation_in_their_own_order() -> None:
    edits = pl.DataFrame({"request_id": ["b", "a", "c"], "prompt": ["B", "A", "C"], "target_new": ["n", "n", "n"],
                          "target_true": ["t", None, "t"]})  # fmt: skip
    generations = pl.DataFrame(
        {"request_id": ["a", "b", "b"], "when": ["after", "before", "after"], "text": ["1", "2", "3"]}
    )
    nll = pl.DataFrame({"request_id": ["a", "b"], **{name: [1.0, 2.0] for name in NLL}})
    took = pl.DataFrame({"request_id": ["b"], "took": [True]})
    first, second = examples(edits, generations, nll, took)
    assert first == Example(
        prompt="B", target_new="n", target_true="t", before="2", after="3", nll=dict.fromkeys(NLL, 2.0), took=True
    )
    assert replace(second, nll=NLL) == Example(
        prompt="A", target_new="n", target_true=None, before=None, after="1", nll=NLL, took=None
    )
