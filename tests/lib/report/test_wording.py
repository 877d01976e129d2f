"""What the report says in words, and how it writes numbers."""

from typing import Any

import pytest

from lib.report.wording import duration, figure, flat, number, p_value, sentence, short, signed


def summary(mean: float, n: int = 10) -> dict[str, float]:
    return {"mean": mean, "ci95": 1.0, "n": n}


def details(headline: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    measures = ("success", "accuracy", "token_accuracy")
    kinds = ("efficacy", "generalization", "locality")
    empty = {kind: dict.fromkeys(measures) for kind in kinds}
    filled = [{kind: {**empty[kind], **some.get(kind, {})} for kind in kinds} for some in (before, after)]
    return {"headline": headline, "n": 10, "before": filled[0], "after": filled[1]}


def test_the_sentence_counts_edits_that_took_and_gives_shares_of_the_rest() -> None:
    found = details(
        "success",
        {"efficacy": {"success": summary(10)}, "locality": {"success": summary(99.94)}},
        {kind: {"success": summary(90)} for kind in ("efficacy", "generalization", "locality")},
    )
    assert sentence(found).replace("\N{NO-BREAK SPACE}", " ") == (
        "Of 10 corrected facts, the edited model prefers the new answer to the old one for 9; the unedited model did "
        "for 1. Asked in other words, it prefers the new answer in 90.0 % of cases (not measured before). On prompts "
        "about other subjects the right answer stays ahead of the new one in 90.0 % of cases (99.9 % before)."
    )


def test_the_sentence_says_how_many_edits_have_no_old_answer() -> None:
    some = {"efficacy": {"success": summary(100, n=8), "accuracy": summary(50)}}
    assert "2 more have no old answer to compare with." in sentence(details("success", some, some))


@pytest.mark.parametrize(("headline", "success"), [("success", None), ("token_accuracy", summary(20))])
def test_without_old_answers_or_by_accuracy_the_sentence_counts_whole_answers(headline: str, success: Any) -> None:
    some = {"efficacy": {"success": success, "accuracy": summary(70), "token_accuracy": summary(80)}}
    found = sentence(details(headline, some, some))
    assert "predicts every token of the new answer for 7; the unedited model did for 7." in found
    assert "Generalization was not measured" in found
    assert "Locality was not measured" in found


def test_nested_values_become_flat_names_with_readable_values() -> None:
    values = {"dropped": {"copy": 12345, "none": {}}, "files": [{"sha256": "ab"}], "lr": 7e-5, "on": True, "n": None}
    values |= {"tokens": [5, 10]}
    assert dict(flat(values)) == {
        "dropped.copy": "12,345", "dropped.none": "none", "files.1.sha256": "ab", "lr": "7e-05", "on": "yes",
        "n": "none", "tokens": "5, 10",
    }  # fmt: skip


@pytest.mark.parametrize(("value", "text"), [(0.123456, "0.1235"), (123456.7, "123,457"), (-2, "-2"), ("a", "a")])
def test_numbers_have_four_digits_and_marked_thousands(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(2.04, "2.0 s"), (117.2, "1 min 57 s"), (7260, "2 h 1 min")])
def test_durations_are_said_in_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(17.43, 2, "17"), (2.1, 3, "2.10"), (0.0384, 2, "0.038"), (505.43, 3, "505")]
)
def test_a_figure_has_its_digits_and_never_ends_in_a_point(value: float, digits: int, text: str) -> None:
    assert short(value, digits) == text


def test_figures_are_percent_or_have_three_digits() -> None:
    assert figure((98.54, 1.68), "percent") == "98.5 ± 1.7"
    assert figure((518.2, 18.4), "bits") == "518 ± 18"
    assert figure(None, "percent") == "not measured"


def test_differences_have_a_sign_and_small_p_values_are_bounded() -> None:
    assert [signed(value) for value in (3.14, -3.16, -0.04)] == ["+3.1", "-3.2", "+0.0"]
    assert signed(-0.0404, 3) == "-0.040"
    assert [p_value(value) for value in (0.0625, 0.0009, 1.0, None)] == [
        "p = 0.062",
        "p < 0.001",
        "p = 1",
        "\N{EN DASH}",
    ]
