"""Every metric of the general-ability tasks against values worked out by hand, in both readings."""

import math

import pytest

from lib.abilities import answers as metrics


@pytest.mark.parametrize(
    ("answer", "exact", "published"),
    [(" True", 1, 1), ("TRUE\n", 1, 1), (" Untrue", 0, 1), (" False", 0, 0), (" True.", 0, 1), ("", 0, 0)],
)
def test_a_label_counts_alone_or_as_published_anywhere(answer: str, exact: int, published: int) -> None:
    assert (metrics.exact_label(answer, "True"), metrics.published_label(answer, "True")) == (exact, published)


@pytest.mark.parametrize(
    ("answer", "exact", "published"), [(" B", 1, 1), (" Because", 0, 1), (" b", 1, 0), (" A", 0, 0), ("(B)", 0, 1)]
)
def test_a_letter_counts_alone_or_as_published_inside_a_word(answer: str, exact: int, published: int) -> None:
    assert (metrics.exact_label(answer, "B"), metrics.published_letter(answer, "B")) == (exact, published)


@pytest.mark.parametrize(
    ("answer", "exact", "published"), [(" yes", 1, 1), ("yes", 1, 0), (" Yes", 1, 1), (" no", 0, 0)]
)
def test_yes_needs_as_published_just_one_space_before_it(answer: str, exact: int, published: int) -> None:
    assert (metrics.exact_label(answer, "yes"), metrics.published_yes_no(answer, "yes")) == (exact, published)


@pytest.mark.parametrize(
    ("answer", "gold", "rate", "published"),
    [
        (" 18", "18", 1, 1),
        (" $18.00 a day", "18", 1, 1),
        (" 180", "18", 0, 1),
        (" 70,000.", "70000", 1, 0),
        (" 3 or 18", "18", 0, 1),
        (" -4", "4", 0, 1),
        (" none", "18", 0, 0),
    ],
)
def test_a_number_is_the_first_in_the_answer(answer: str, gold: str, rate: int, published: int) -> None:
    assert (metrics.solve_rate(answer, gold), metrics.published_solve_rate(answer, gold)) == (rate, published)


def test_normalisation_drops_case_articles_and_punctuation() -> None:
    assert metrics.normalized("The  U.S. Navy's\n an Anchor!") == "us navys anchor"


@pytest.mark.parametrize(
    ("answer", "gold", "value"),
    [
        (" It was the Orange Juice.", ["orange juice"], 1),
        (" juice, orange", ["orange juice"], 0),
        (" in 1995", ["1990", "1995"], 1),
        (" 19951", ["1995"], 0),
        (" the", ["The"], 0),
    ],
)
def test_an_answer_is_matched_whole_words_in_order(answer: str, gold: list[str], value: int) -> None:
    assert metrics.exact_match(answer, gold) == value


def test_the_published_match_also_finds_what_the_passage_says() -> None:
    prompt = "Passage: It opened in 1995. Question: when did it open"
    assert metrics.exact_match(" No idea", ["1995"]) == 0
    assert metrics.published_exact_match(prompt, " No idea", ["1995"]) == 1
    assert metrics.published_exact_match(prompt, " No idea", ["1996"]) == 0


def test_rouge_is_the_mean_of_three_f1() -> None:
    # "a b c" against "a b d e": 2 of 3 and of 4 words, 1 of 2 and of 3 pairs, a common run of 2.
    scores = metrics.rouge("ann buys cats", "ann buys dogs daily")
    assert scores == pytest.approx(
        {"rouge1": 4 / 7, "rouge2": 2 / 5, "rougeL": 4 / 7, "rouge": (4 / 7 + 2 / 5 + 4 / 7) / 3}
    )


def test_the_published_rouge_loses_thirteen_characters() -> None:
    assert metrics.published_rouge("ann buys cats<|endoftext|>", "ann buys cats")["rouge"] == pytest.approx(1)
    assert metrics.published_rouge("ann buys cats", "ann buys cats") == dict.fromkeys(("rouge", *metrics.ROUGES), 0.0)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (" Ann Lee, Bo", ["Ann Lee", "Bo"]),
        (" Ann Lee and Bo.", ["Ann Lee", "Bo"]),
        ("\nAnn; 'Bo'\n", ["Ann", "Bo"]),
        (" Sandy Band", ["Sandy Band"]),
        (" ", []),
    ],
)
def test_an_answer_lists_entities(answer: str, names: list[str]) -> None:
    assert metrics.listed(answer) == names


def test_entities_count_whole_and_as_often_as_they_occur() -> None:
    counted = metrics.entity_counts(" Ann, Bo, Ann, Cy", ["Ann", "Ann Lee", "Bo"])
    assert counted == metrics.Counts(right=2, wrong=2, missed=1)
    assert metrics.entity_counts(" ", []) == metrics.Counts(right=0, wrong=0, missed=0)


def test_precision_recall_and_f1_are_over_all_examples_together() -> None:
    counts = [(2, 2, 1), (0, 1, 0), (1, 0, 2)]  # 3 right of 6 found and of 6 there
    assert metrics.precision(counts) == pytest.approx(3 / 6)
    assert metrics.recall(counts) == pytest.approx(3 / 6)
    assert metrics.f1(counts) == pytest.approx(0.5)
    assert (metrics.f1([(1, 3, 0)]), metrics.precision([(1, 3, 0)]), metrics.recall([(1, 3, 0)])) == (0.4, 0.25, 1)


def test_nothing_found_and_nothing_there_is_zero_not_an_error() -> None:
    assert [metric([(0, 0, 0)]) for metric in (metrics.f1, metrics.precision, metrics.recall)] == [0, 0, 0]
    assert metrics.published_entity_score([(0, 0, 0)]) == 0


def test_the_published_entity_score_is_recall_of_substrings_averaged_over_types() -> None:
    assert metrics.published_found(" Joanna", ["Ann", "Ann", "", "Bo"]) == (1, 4)
    assert metrics.published_found(" Joanna", ["ann", ""]) == (2, 2)
    rows = [(0, 1, 1), (0, 0, 1), (1, 1, 1), (2, 0, 0)]  # type 0: 1 of 2, type 1: 1 of 1, type 2: none there
    assert metrics.published_entity_score(rows) == pytest.approx((1 / 2 + 1) / 2)


def test_perplexity_counts_predicted_tokens_and_as_published_the_first_one_too() -> None:
    scores = [(6 * math.log(2), 3, 4), (2 * math.log(2), 1, 2)]
    assert metrics.perplexity(scores) == pytest.approx(2 ** (8 / 4))
    assert metrics.published_perplexity(scores) == pytest.approx(2 ** (8 / 6))
