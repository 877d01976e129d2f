"""The headline: which numbers a metrics file holds, in which order, and what it has where nothing was measured."""

import polars as pl

from lib.metrics import headline as module
from lib.metrics import scores, summaries
from lib.metrics.headline import headline
from tests.lib.metrics.test_scores import records_of, row

PLAIN_TEXT = {"perplexity_ratio": 1.02, "perplexity_ratio_ci95": 0.01, "perplexity": 9.0, "texts": 60}


def test_what_no_record_has_is_none_and_counts_nothing() -> None:
    records = records_of(*(row("a", kind, role, 1.0) for kind in ("efficacy", "locality") for role in ("new", "true")))
    values = headline(summaries.details(records, "success"), {})
    assert (values["generalization"], values["score_ci95"], values["before"]["efficacy"]) == (None, None, None)
    assert (values["perplexity_ratio"], values["counts"]["perplexity_ratio"], values["verdict"]) == (
        None,
        0,
        "not known",
    )


def test_what_the_model_writes_stands_before_what_is_teacher_forced() -> None:
    assert [column.name for column in module.COLUMNS] == [
        "exact_match", "exact_match_paraphrases", "unchanged", "perplexity_ratio", "kl", "repetition",
        "efficacy", "generalization", "locality", "score",
    ]  # fmt: skip
    shuffled = [("score", "success"), ("locality", "kl"), ("efficacy", "magnitude"), ("locality", "token_accuracy"),
                ("efficacy", "exact_match")]  # fmt: skip
    assert sorted(shuffled, key=lambda measure: module.order(*measure)) == [
        ("efficacy", "exact_match"), ("locality", "kl"), ("locality", "token_accuracy"), ("score", "success"),
        ("efficacy", "magnitude"),
    ]  # fmt: skip


def test_headline_rounds_to_four_decimals_and_holds_the_means_before() -> None:
    nll_of_new = {"before": {"a": 1.0, "b": 2.0, "c": 2.0}, "after": {"a": 1.0, "b": 1.0, "c": 2.0}}
    rows = [
        row(request_id, kind, role, nll, when=when)
        for when, edits in nll_of_new.items()
        for request_id, new in edits.items()
        for kind in scores.KINDS
        for role, nll in (("new", new), ("true", 1.5))
    ]
    values = headline(summaries.details(records_of(*rows), "success"), {})
    assert values["n"] == 3
    assert (values["efficacy"], values["before"]["efficacy"]) == (66.6667, 33.3333)
    assert values["efficacy_ci95"] == 53.3444  # 1.96 * sqrt(2/9) / sqrt(3), in percent
    assert values["locality"] == 33.3333
    assert set(values["before"]) == {
        "exact_match", "exact_match_paraphrases", "repetition", "score", *scores.KINDS,
    }  # fmt: skip


def test_a_metrics_file_holds_the_promised_names_and_few_others() -> None:
    records = records_of(*(row("a", kind, role, 1.0) for kind in scores.KINDS for role in ("new", "true")))
    matches = pl.DataFrame(
        {"when": ["after"] * 2, "kind": ["efficacy", "generalization"], "session": [0] * 2, "request_id": ["a"] * 2,
         "exact_match": [100.0, 50.0]}
    )  # fmt: skip
    values = headline(summaries.details(scores.joined(records, [matches]), "success"), PLAIN_TEXT)
    names = {"exact_match", "exact_match_paraphrases", "unchanged", "perplexity_ratio", "kl", "repetition",
             "score", *scores.KINDS}  # fmt: skip
    assert set(values) == {"verdict", "n", "counts", "before", *names, *(f"{name}_ci95" for name in names)}
    assert set(values["counts"]) == names
    assert (values["exact_match"], values["exact_match_paraphrases"]) == (100, 50)
    assert (values["perplexity_ratio"], values["perplexity_ratio_ci95"]) == (1.02, 0.01)
    assert (values["counts"]["perplexity_ratio"], values["counts"]["unchanged"]) == (60, 0)
    assert values["verdict"] == "took, not known whether safe"


def test_a_model_that_was_asked_questions_has_one_number_more() -> None:
    records = records_of(*(row("a", kind, role, 1.0) for kind in scores.KINDS for role in ("new", "true")))
    answers = pl.DataFrame(
        {"when": ["before", "after"], "kind": ["chat"] * 2, "session": [0] * 2, "request_id": ["a"] * 2,
         "answered": [0.0, 25.0]}
    )  # fmt: skip
    values = headline(summaries.details(scores.joined(records, [answers]), "success"), {})
    assert (values["answered_chat"], values["before"]["answered_chat"]) == (25, 0)
    assert values["counts"]["answered_chat"] == 1
