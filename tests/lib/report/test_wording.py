"""What the report says in words, and how it writes numbers."""

from datetime import date
from typing import Any

import pytest

from lib.report.wording import (
    day,
    duration,
    figure,
    flat,
    number,
    odds,
    p_value,
    sentence,
    short,
    signed,
    teacher_forced,
    tick,
    unbroken,
)
from tests.helpers.pages import numbers


def said(**changed: Any) -> str:
    return sentence(numbers(**changed), "a book").replace("\N{NO-BREAK SPACE}", " ")


def test_the_sentence_is_what_the_model_writes_and_what_that_cost() -> None:
    text = said(verdict="took, harmed", exact_match=75.0, exact_match_paraphrases=50.0)
    assert text == (
        "Left to itself, the edited model writes 3 of 4 corrected facts, and 50.0 % of them when asked "
        "in other words; 95.0 % of its answers to other questions are what they were; its perplexity of held-out "
        "text (a book, 60 texts) is 1.020 ± 2.500 times that of the unedited model; 5.0 % of its texts repeat "
        "themselves (5.0 % before)."
    )


def test_the_sentence_has_what_else_is_said_about_the_edited_subjects() -> None:
    own = {"n": 3, "prompts": 5, "after": 80.0, "ci95": 20.0}
    assert (
        "95.0 % of its answers to other questions are what they were, 80.0 % of those about the edited subjects (N 3);"
        in said(unchanged_own_subject=own)
    )


def test_the_sentence_says_what_was_not_measured() -> None:
    nothing = dict.fromkeys(("exact_match", "exact_match_paraphrases", "unchanged", "perplexity_ratio", "repetition"))
    assert said(verdict="not known", **nothing) == (
        "Whether the edited model writes the new facts was not measured; whether answers to other questions changed "
        "was not measured; its perplexity of held-out text was not measured; whether its texts repeat themselves was "
        "not measured."
    )
    assert "writes 4 of 4 corrected facts; asked in other words: not measured" in said(
        exact_match_paraphrases=None, exact_match=100.0
    )


def test_the_published_measures_are_named_teacher_forced() -> None:
    text = teacher_forced(numbers(locality=None)).replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "Teacher-forced, as papers measure it (the answer is read out to the model, which writes nothing): 95.0 % on "
        "edited prompts, 95.0 % on paraphrases, not measured on other subjects; the paper's score is 95.0."
    )


def test_nested_values_become_flat_names_with_readable_values() -> None:
    values = {"dropped": {"copy": 12345, "none": {}}, "files": [{"sha256": "ab"}], "lr": 7e-5, "on": True, "n": None}
    values |= {"tokens": [5, 10]}
    assert dict(flat(values)) == {
        "dropped.copy": "12,345", "dropped.none": "none", "files.1.sha256": "ab", "lr": "0.00007", "on": "yes",
        "n": "none", "tokens": "5, 10",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (123456.7, "123,457"), (-2, "-2"), ("a", "a"), (3e-4, "0.0003"), (1e-9, "10⁻⁹")],
)
def test_numbers_have_four_digits_and_marked_thousands(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(2.04, "2.0 s"), (117.2, "1 min 57 s"), (7260, "2 h 1 min")])
def test_durations_are_said_in_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (17.43, 2, "17"),
        (2.1, 3, "2.10"),
        (0.0384, 2, "0.038"),
        (505.43, 3, "505"),
        (4923.4, 3, "4,923"),
        (1.23e-5, 3, "0.0000123"),
        (1.5e-9, 2, "1.5 \N{MULTIPLICATION SIGN} 10⁻⁹"),
        (99.96, 3, "100"),
        (-0.5, 2, "-0.50"),
    ],
)
def test_a_figure_has_its_digits_and_never_ends_in_a_point(value: float, digits: int, text: str) -> None:
    assert short(value, digits) == text


def test_ticks_are_short_and_never_in_the_notation_of_computers() -> None:
    values = (0, 0.5, -20, 2_000, 2e4, 1e6, 2e-7, 0.00025)
    assert [tick(value) for value in values] == [
        "0",
        "0.5",
        "-20",
        "2,000",
        "20,000",
        "10⁶",
        "2 \N{MULTIPLICATION SIGN} 10⁻⁷",
        "0.00025",
    ]


def test_figures_are_percent_or_have_three_digits() -> None:
    assert figure((98.54, 1.68), "percent") == "98.5 ± 1.7"
    assert figure((518.2, 18.4), "bits") == "518 ± 18"
    assert figure(None, "percent") == "not measured"


def test_odds_have_more_digits_the_nearer_they_are_to_nothing() -> None:
    texts = [odds(percent).replace("\N{NO-BREAK SPACE}", " ") for percent in (99.55, 4.979, 0.49, 0.0123, 1e-7)]
    assert texts == ["99.5 %", "5.0 %", "0.5 %", "0.01 %", "under 0.001 %"]
    assert odds(None) == "\N{EN DASH}"


def test_a_text_loses_its_empty_lines_alone() -> None:
    assert unbroken(" Rome.\n\n \nIt is\nold ") == "Rome.\nIt is\nold"
    assert unbroken(" \n") == "nothing"


def test_a_date_is_said_in_words() -> None:
    assert day(date(2026, 1, 3)) == "3 January 2026"


def test_differences_have_a_sign_and_small_p_values_are_bounded() -> None:
    assert [signed(value) for value in (3.14, -3.16, -0.04)] == ["+3.1", "-3.2", "+0.0"]
    assert signed(-0.0404, 3) == "-0.040"
    assert [p_value(value) for value in (0.0625, 0.0009, 1.0, None)] == [
        "p = 0.062",
        "p < 0.001",
        "p = 1",
        "\N{EN DASH}",
    ]
