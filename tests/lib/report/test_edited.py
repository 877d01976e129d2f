"""The order of the edits' texts: the worst first, and both ends without an edit that is in both."""

import pytest

from lib.metrics.examples import AnswerExample
from lib.report.edited import ends, probability, worst_first
from tests.helpers.pages import NLL, example


def with_nll(value: float | None, took: bool | None = True) -> AnswerExample:
    return example(prompt=f"{took} {value}", took=took, nll={**NLL, "new_after": value})


def test_failures_come_first_then_what_has_no_text_then_the_least_likely_of_those_that_took() -> None:
    examples = [with_nll(0.1), with_nll(2.0), with_nll(0.5, None), with_nll(0.2, False), with_nll(3.0, False)]
    ordered = [example.prompt for example in worst_first(examples)]
    assert ordered == ["False 3.0", "False 0.2", "None 0.5", "True 2.0", "True 0.1"]


@pytest.mark.parametrize(("count", "worst", "best"), [(12, 5, 5), (7, 5, 2), (5, 5, 0), (0, 0, 0)])
def test_the_ends_are_five_each_where_there_are_so_many_and_share_none(count: int, worst: int, best: int) -> None:
    first, last = ends([example(prompt=f"{number:02}", nll={**NLL, "new_after": number}) for number in range(count)])
    assert (len(first), len(last)) == (worst, best)
    assert {text.prompt for text in first} & {text.prompt for text in last} == set()
    if best:
        assert (first[0].prompt, last[0].prompt) == (f"{count - 1:02}", "00")


def test_an_unknown_likelihood_counts_as_the_worst() -> None:
    assert [text.nll["new_after"] for text in worst_first([with_nll(9.0), with_nll(None)])] == [None, 9.0]


def test_a_probability_is_the_mean_of_the_tokens_in_percent() -> None:
    assert probability(0.0) == 100
    assert round(probability(3.0) or 0, 3) == 4.979
    assert probability(None) is None
