"""The verdict at its limits, and what it says where something was not measured."""

from typing import Any

import pytest

from lib.metrics.verdict import verdict

SAFE: dict[str, Any] = {"exact_match": 90.0, "unchanged": 80.0, "perplexity_ratio": 1.10, "repetition": 15.0,
                        "before": {"repetition": 5.0}}  # fmt: skip
"""Every value at its limit."""


def test_at_every_limit_an_edit_is_safe() -> None:
    judged = verdict(SAFE)
    assert (judged.word, judged.reasons, judged.unmeasured) == ("safe", (), ())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"perplexity_ratio": 1.1001}, "perplexity of held-out text is 1.10 times what it was (limit 1.1)"),
        ({"unchanged": 79.9}, "only 79.9 % of the answers to other questions are as before (limit 80)"),
        ({"repetition": 15.1}, "15.1 % of the texts repeat themselves, 10.1 points more than before (limit 10 more)"),
    ],
)
def test_beyond_any_limit_on_harm_it_took_and_harmed(changed: dict[str, float], reason: str) -> None:
    judged = verdict(SAFE | changed)
    assert (judged.word, judged.reasons) == ("took, harmed", (reason,))


def test_below_the_limit_on_exact_match_it_did_not_take() -> None:
    judged = verdict(SAFE | {"exact_match": 89.9})
    assert judged.word == "did not take"
    assert judged.reasons == ("the new fact is written after 89.9 % of the edited prompts (limit 90)",)


def test_an_edit_may_have_failed_and_harmed() -> None:
    judged = verdict(SAFE | {"exact_match": 0.0, "perplexity_ratio": 5.5})
    assert judged.word == "did not take, harmed"
    assert len(judged.reasons) == 2


@pytest.mark.parametrize("name", ["unchanged", "perplexity_ratio", "repetition"])
def test_without_a_measure_of_harm_it_is_never_called_safe(name: str) -> None:
    judged = verdict(SAFE | {name: None})
    assert judged.word == "took, not known whether safe"
    assert len(judged.unmeasured) == 1
    assert verdict({key: value for key, value in SAFE.items() if key != name}) == judged


def test_harm_that_was_measured_counts_whatever_was_not() -> None:
    assert verdict(SAFE | {"unchanged": None, "perplexity_ratio": 1.2}).word == "took, harmed"
    assert verdict({"exact_match": None, "unchanged": 1.0}).word == "harmed, not known whether it took"
    assert verdict({}).word == "not known"


def test_repetition_of_the_unedited_model_is_no_harm() -> None:
    assert verdict(SAFE | {"repetition": 60.0, "before": {"repetition": 55.0}}).word == "safe"
