"""What the page and the terminal show of implied questions: both sections in words, nothing where there is none."""

from typing import Any

from lib.core.implied import FOLLOWING, STAYING
from lib.report import page as report
from lib.report.headline import cells, markdown, table_columns, terminal_lines
from lib.report.portability import LABELS
from tests.helpers.pages import numbers, results, text_of

FORCED = {"n": 9, "questions": 20, "before": 10.0, "after": 30.0, "ci95": 4.0}
ENTRY = {"n": 4, "questions": 12, "before": 5.0, "after": 25.0, "ci95": 2.0, "teacher_forced": FORCED}
IMPLIED: dict[str, Any] = {
    "portability": {"two_hops": ENTRY},
    "locality_related": {"one_hop": {"teacher_forced": FORCED}},
}


def test_the_page_shows_each_kind_in_words_in_free_text_and_teacher_forced() -> None:
    page = text_of(report.page(results(numbers=numbers(**IMPLIED))))
    assert "two hops 5.0 25.0 ± 2.0 30.0 ± 4.0 4" in page
    assert "single hops of the chains not measured not measured 30.0 ± 4.0 9" in page
    assert "What the edits imply" not in text_of(report.page(results()))


def test_the_terminal_has_a_block_for_each_section() -> None:
    lines = terminal_lines(numbers(**IMPLIED))
    assert any(line.split() == ["two", "hops", "5.0", "25.0", "±", "2.0", "4"] for line in lines)
    assert not any("portability" in line for line in terminal_lines(numbers()))


def test_questions_that_were_left_out_for_their_conditions_are_counted_in_the_row() -> None:
    entry = {**ENTRY, "left_out": 1_200, "n": 0, "after": None, "ci95": None}
    lines = terminal_lines(numbers(portability={"two_hops": entry}))
    assert any("two hops (1,200 left out: not known before)" in line and "not measured" in line for line in lines)


def test_every_kind_has_a_label() -> None:
    assert {*LABELS} == {*FOLLOWING, *STAYING}


def test_a_table_has_the_free_text_and_then_the_teacher_forced_share_of_each_kind() -> None:
    questioned = numbers(**IMPLIED)
    first, _, without, with_questions = markdown({"A": numbers(), "B": questioned})
    assert first.endswith(
        "| portability.two_hops | portability.two_hops, teacher-forced | locality_related.one_hop, teacher-forced |"
    )
    assert without.endswith("| not measured | not measured | not measured |")
    assert with_questions.endswith("| 25.0 ± 2.0 | 30.0 ± 4.0 | 30.0 ± 4.0 |")


def test_a_table_of_runs_without_such_questions_has_no_column_for_them() -> None:
    assert not any("portability" in column.name for column in table_columns([numbers()]))


def test_seeds_of_a_row_have_mean_and_spread_of_what_the_edits_imply() -> None:
    higher = numbers(portability={"two_hops": {**ENTRY, "after": 29.0}})
    rows = [numbers(**IMPLIED), higher]
    (free,) = (column for column in table_columns(rows) if column.name == "portability.two_hops")
    assert cells(rows, [free]) == ["27.0 ± 2.8"]
    assert cells([numbers(**IMPLIED), numbers()], [free]) == ["not measured"]
