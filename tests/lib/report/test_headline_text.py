"""The headline in text: the same columns in the same order on the terminal and in Markdown tables."""

from lib.metrics.headline import COLUMNS, shown
from lib.report.headline import cells, markdown, terminal_lines, verdicts
from tests.helpers.pages import numbers


def test_the_terminal_has_the_verdict_with_its_reasons_and_a_line_a_column() -> None:
    metrics = numbers(perplexity_ratio=3.248, perplexity_ratio_ci95=0.389, locality=None, locality_ci95=None)
    assert terminal_lines(metrics) == [
        "verdict: took, harmed",
        "  - perplexity of held-out text is 3.25 times what it was (limit 1.1)",
        "",
        "what the edited model writes            before            after       N",
        "exact match                                5.0       95.0 ± 2.5       4",
        "exact match, paraphrases                   5.0       95.0 ± 2.5       4",
        "unchanged                                            95.0 ± 2.5       4",
        "perplexity ratio                                  3.248 ± 0.389      60",
        "KL                                                0.123 ± 2.500       4",
        "repetition                                 5.0        5.0 ± 2.5       4",
        "",
        "teacher-forced, nothing written         before            after       N",
        "teacher-forced efficacy                    5.0       95.0 ± 2.5       4",
        "teacher-forced generalization              5.0       95.0 ± 2.5       4",
        "teacher-forced locality                    5.0     not measured       4",
        "paper's score                              5.0       95.0 ± 2.5       4",
        "",
        "4 edits; percent but for perplexity ratio and KL (nats), ± 95 % intervals",
        "N are edits, of the ratio texts",
    ]


def test_what_could_not_be_judged_is_named() -> None:
    assert terminal_lines(numbers(unchanged=None))[:2] == [
        "verdict: took, not known whether safe", "  - not measured: the answers to other questions",
    ]  # fmt: skip


def test_what_else_is_said_about_the_edited_subjects_stands_below_all_other_answers() -> None:
    own = {"n": 3, "prompts": 5, "after": 80.0, "ci95": 20.0}
    assert terminal_lines(numbers(unchanged_own_subject=own))[5:7] == [
        "unchanged                                            95.0 ± 2.5       4",
        "  about the edited subjects                         80.0 ± 20.0       3",
    ]


def test_a_table_has_a_cell_a_column_and_over_seeds_mean_and_spread() -> None:
    assert shown([numbers()]) == COLUMNS
    assert cells([numbers()], COLUMNS)[:4] == ["95.0 ± 2.5", "95.0 ± 2.5", "95.0 ± 2.5", "1.020 ± 2.500"]
    assert cells([numbers(), numbers(exact_match=93.0)], COLUMNS)[0] == "94.0 ± 1.4"
    assert cells([numbers(), numbers(kl=None)], COLUMNS)[4] == "not measured"
    first, _, row = markdown({"A": numbers()})
    assert first.startswith(
        "| run | N | verdict | exact match | exact match, paraphrases | unchanged | perplexity ratio (times) |"
    )
    assert row.startswith("| A | 4 | safe | 95.0 ± 2.5 |")


def test_verdicts_of_seeds_that_differ_are_counted() -> None:
    harmed = numbers(perplexity_ratio=2.0)
    assert verdicts([numbers(), numbers()]) == "safe"
    assert verdicts([numbers(), harmed, harmed]) == "took, harmed (2); safe (1)"


def test_chat_answers_stand_behind_the_paraphrases_where_a_run_has_them() -> None:
    counts = {**numbers()["counts"], "answered_chat": 3}
    chat = numbers(answered_chat=60.0, answered_chat_ci95=4.0, counts=counts)
    assert terminal_lines(chat)[5] == "answered in a chat                not measured       60.0 ± 4.0       3"
    first, _, without, with_chat = markdown({"A": numbers(), "B": chat})
    assert first.split(" | ")[5] == "answered in a chat"
    assert (without.split(" | ")[5], with_chat.split(" | ")[5]) == ("not measured", "60.0 ± 4.0")
