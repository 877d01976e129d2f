"""What the page, the terminal and tables show of a judge; nothing where there is none."""

from typing import Any

from lib.report import page as report
from lib.report.headline import markdown, terminal_lines
from tests.helpers.pages import numbers, results, text_of

EFFICACY = {"n": 30, "unanswered": 2, "yes": 80.0, "ci95": 14.3, "exact_match": 90.0, "agreement": 83.3,
            "agreement_ci95": 13.3, "kappa": 0.375}  # fmt: skip
ALL_THE_SAME = {**EFFICACY, "unanswered": 0, "kappa": None}
JUDGE: dict[str, Any] = {
    "judge": {"model": "big-chat", "prompt": "Is it <so>?", "efficacy": EFFICACY, "chat": ALL_THE_SAME}
}


def test_the_page_names_judge_and_prompt_and_shows_agreement_with_exact_match() -> None:
    page = text_of(report.page(results(numbers=numbers(**JUDGE))))
    assert "edited prompts (2 unanswered) 80.0 ± 14.3 90.0 83.3 ± 13.3 0.38 30" in page
    assert "questions in a chat 80.0 ± 14.3 90.0 83.3 ± 13.3 not measured 30" in page
    assert "big-chat read the prompt" in page
    assert "Is it <so>?" in page


def test_the_terminal_has_a_block_for_the_judge() -> None:
    lines = terminal_lines(numbers(**JUDGE))
    assert any(line.split()[:3] == ["judged", "by", "big-chat"] for line in lines)
    assert any(line.endswith("90.0      80.0 ± 14.3      30") for line in lines)


def test_without_a_judge_nothing_is_shown_and_a_table_has_no_column() -> None:
    assert "judge" not in text_of(report.page(results(numbers=numbers())))
    assert not any("judge" in line for line in terminal_lines(numbers()))
    assert "judged" not in markdown({"A": numbers()})[0]


def test_a_table_has_a_column_for_each_kind_that_a_run_had_judged() -> None:
    head, _, without, with_judge = markdown({"A": numbers(), "B": numbers(**JUDGE)})
    assert head.endswith("| judged yes, edited prompts | judged yes, questions in a chat |")
    assert without.endswith("| not measured | not measured |")
    assert with_judge.endswith("| 80.0 ± 14.3 | 80.0 ± 14.3 |")
