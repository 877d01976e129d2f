"""Every section of the page: what it shows of its results."""

from dataclasses import replace

import polars as pl

from lib.core.records import Reject
from lib.metrics.comparison import Comparison
from lib.metrics.examples import Passage
from lib.report import page as report
from lib.report.pictures import edit_pictures
from tests.helpers.pages import ABILITY, COMPARED, WEIGHTS, details, example, numbers, results, text_of, training


def test_the_comparison_shows_headline_measures_first_and_the_rest_on_demand() -> None:
    score = replace(COMPARED, kind="score", ci95=None, p_value=None, wins=None, ties=None, losses=None, bootstrap=None)
    rows = [score, COMPARED, replace(COMPARED, measure="accuracy", p_value=0.0001)]
    comparison = Comparison(a="unedited", b="edited", n=4, rows=rows, other_prompts={})
    first, rest = text_of(report.page(results(comparison=comparison))).split("Every other measure")
    assert "paper's score (success) N 4 -37.5 100.0 62.5 \N{EN DASH} \N{EN DASH} \N{EN DASH}" in first
    assert "teacher-forced locality (success) N 4 -37.5 ± 2.2 100.0 62.5 -40.0 .. -35.0 0 / 1 / 3 p = 0.062" in first
    assert "locality accuracy" not in first
    assert "locality accuracy N 4 -37.5 ± 2.2 100.0 62.5 -40.0 .. -35.0 0 / 1 / 3 p < 0.001" in rest


def test_abilities_show_before_after_counts_and_guessing_and_what_was_not_measured_and_why() -> None:
    more = {"f1": {"before": 2.0, "before_ci95": 0.5, "after": 1.0, "after_ci95": 0.25}}
    abilities = {
        "mode": "corrected",
        "tasks": {
            "four_choice": {**ABILITY, "more": more},
            "perplexity": {**ABILITY, "metric": "perplexity", "unit": "perplexity", "chance": None},
        },
        "not_measured": {"pool_recall": "the pool has 0 facts"},
    }
    page = text_of(report.page(results(metrics={"abilities": abilities})))
    assert "four choice accuracy; guessing gives 25 98.5 ± 1.7 N 50 of 936 40.0 ± 6.9" in page
    assert "four choice f1 2.0 ± 0.5 N 50 of 936 1.0 ± 0.2" in page
    assert "perplexity perplexity 98.5 ± 1.7 N 50 of 936 40.0 ± 6.9" in page
    assert "Pool recall: not measured. the pool has 0 facts." in page
    assert "General abilities were not measured." in text_of(report.page(results(metrics={})))


def test_texts_show_their_measures_and_stand_side_by_side() -> None:
    page = text_of(report.page(results()))
    assert "exact match and a sane tail, edited prompts 25.0 ± 5.0 N 4 25.0 ± 5.0 N 4" in page
    assert "fluency 520 ± 5.0 N 4 520 ± 5.0 N 4" in page
    assert "Everybody knows unedited it. edited that." in page
    one_sided = [Passage(prompt="Everybody knows", before=" it.", after=None)]
    assert "Everybody knows unedited it. edited not measured" in text_of(report.page(results(passages=one_sided)))
    missing = text_of(report.page(results(details=details(missing=("score",)), passages=[])))
    assert "consistency not measured not measured" in missing
    assert "No texts were sampled" in missing


def test_weights_show_the_total_then_each_with_a_dash_for_a_rank_that_was_not_looked_for() -> None:
    page = text_of(report.page(results()))
    assert (
        "over 7.7 % rank largest singular value all together 50,007 5,000 9.13 12.3 % \N{EN DASH} 2.00 unedited 4.00"
        in page
    )
    assert "layer.0 50,000 5,000 9.13 12.3 % \N{EN DASH} 1.00 unedited 3.00" in page
    assert "layer.1 7 2.00 0.500 0.0 % 3 2.00 unedited 4.00" in page
    weights = pl.concat([WEIGHTS, *(WEIGHTS[:1].with_columns(path=pl.lit(f"more.{index}")) for index in range(9))])
    assert "3 weights more" in text_of(report.page(results(weights=weights)))
    nothing = text_of(report.page(results(weights=WEIGHTS.clear())))
    assert "No weight is changed, or none is kept: mass editing by lora." in nothing


def test_published_numbers_are_marked_as_another_models() -> None:
    page = text_of(report.page(results()))
    assert "Published, for scale only: another model" in page
    assert "CounterFact, GPT-J 6B, 10,000 edits at once" in page
    assert "98.8 93.6 72.0 86.5" in page  # efficacy, generalization, locality, score


def test_rejects_are_counted_by_reason_and_the_first_are_shown() -> None:
    rejects = [
        Reject(file="f.csv", line=line, field="prompt", reason=f"wanted text; found {line}") for line in range(1, 13)
    ]
    page = text_of(report.page(results(rejects=rejects)))
    assert "12 rows of the input were rejected" in page
    assert "prompt: wanted text 12" in page
    assert "f.csv 10 prompt wanted text; found 10" in page
    assert "f.csv 11" not in page
    assert "The first 10" in page


def test_examples_mark_what_took_and_show_the_odds_of_both_objects_before_and_after() -> None:
    page = text_of(
        report.page(
            results(
                examples=(example(), example(took=False, why_not="repeats itself"), example(took=None, before=None))
            )
        )
    )
    assert (
        "The capital is ✓ took to be Rome was Paris before Paris. after Rome. odds Rome: 5.0 % → 77.9 %; Paris: 60.7 % "
        "→ \N{EN DASH}"
    ) in page
    assert "✗ repeats itself" in page
    assert "not measured to be Rome was Paris before not measured after Rome." in page


def test_examples_say_how_many_did_not_take() -> None:
    assert "3 of 4 did not take; they come first." in text_of(report.page(results()))


def test_a_safe_run_has_a_green_banner_and_a_harmful_or_failed_one_a_red_one_with_its_reasons() -> None:
    safe = report.page(results())
    assert 'class="banner fine"' in safe
    assert "Left to itself, the edited model writes 4 of 4 corrected facts" in text_of(safe)
    for changed, reason in (
        ({"perplexity_ratio": 1.11}, "Took, harmed perplexity of held-out text is 1.11 times what it was (limit 1.1)"),
        ({"exact_match": 50.0}, "Did not take the new fact is written after 50.0 % of the edited prompts (limit 90)"),
    ):
        page = report.page(results(numbers=numbers(**changed)))
        assert '<section class="banner " aria-labelledby="verdict">' in page
        assert reason in text_of(page)
    unknown = report.page(results(numbers=numbers(unchanged=None)))
    assert 'class="banner open"' in unknown
    assert "Took, not known whether safe not measured: the answers to other questions" in text_of(unknown)


def test_the_headline_stands_in_its_order_with_its_n() -> None:
    page = text_of(report.page(results()))
    assert (
        "what the edited model writes, and what that cost exact match 5.0 95.0 ± 2.5 4 exact match, paraphrases 5.0 "
        "95.0 ± 2.5 4 unchanged \N{EN DASH} 95.0 ± 2.5 4 perplexity ratio (times) \N{EN DASH} 1.020 ± 2.500 60 KL "
        "(nats) \N{EN DASH} 0.123 ± 2.500 4 repetition 5.0 5.0 ± 2.5 4 teacher-forced: the answer is read out to the "
        "model teacher-forced efficacy 5.0 95.0 ± 2.5 4"
    ) in page


def test_what_was_trained_on_stands_below_the_edit_that_it_belongs_to_with_its_counts_and_the_rest_folded() -> None:
    page = text_of(report.page(results(training=training(9))))
    assert "45 paraphrases (45 given with the facts) and 36 neighbors of 9 edits were made to train on." in page
    assert (
        "The capital is Rome 5 in other words, with the same answer: It is ruled from 0 (given with the facts)" in page
    )
    assert "4 neighbors, whose answers must stay: The river 0 is in Egypt" in page
    assert "2 in other words and 1 neighbors more" in page
    assert "6 edits more" in page
    assert "Neither paraphrases nor neighbors were made" in text_of(report.page(results(training=training(0))))


def test_what_the_numbers_rest_on_names_backend_encoder_text_and_where_there_was_less_than_asked_for() -> None:
    params = {
        **results().params,
        "score": {"plain_texts": {"limit": 100, "seed": 3}}, "statistics": {"n_samples": 100_000},
        "para": {"method": "both"}, "neighbors": {"kind": "similar"},
        "scope": {"encoder": "minilm", "threshold": 0.7},
    }  # fmt: skip
    metrics = {
        "facts": {"text": 400, "text_source": "embedded English prose"}, 
        "score": {"device": "cpu", "dtype": "float32", "in_scope": {"efficacy": [9, 9], "locality": [43, 1000]}},
        "statistics": {"layers": 2, "texts": 300},
        "recall": {"pool": 30, "locality_of_file": 3, "locality_of_pool": 44, "locality_of_subject": 5},
        "paraphrase": {"kept": 40, "shortfall": 0, "backend": "transformers"},
        "neighbors": {"neighbors": 70, "shortfall": 10, "encoder": "minilm"},
        "abilities": {"mode": "corrected", "tasks": {"pool_recall": ABILITY | {"in_scope": 3}}},
    }  # fmt: skip
    page = text_of(report.page(results(params=params, metrics=metrics)))
    for line in (
        "device cpu dtype float32 plain text embedded English prose, 400 pieces",
        "held-out text 60 texts, of 100 asked for",
        "second moments 300 texts, of 100,000 asked for",
        "training paraphrases 40 prompts, written by transformers",
        "training neighbors 70 facts, of 80 asked for, similar, by encoder minilm",
        "pool of unedited facts 30 facts",
        "locality prompts 3 of the file, 44 of the pool; 5 of them about the subject of their own edit",
        "the edit is in force near its facts alone: minilm, cosine at least 0.7; 9 of 9 efficacy, 43 of 1,000 "
        "locality, 3 of 50 pool_recall",
        "seeds 3 everywhere versions python 3.11",
        "Fewer than asked for: held-out text (60 texts, of 100 asked for); second moments",
        "its perplexity of held-out text (embedded English prose, 60 texts) is",
    ):
        assert line in page
    assert "Fewer than asked for" not in text_of(report.page(results()))


def test_locality_is_drawn_by_similarity_only_where_neighbors_have_one() -> None:
    spread = [{"request_id": "a", "before": 100.0, "after": 50.0, "similarity": None}]
    by_similarity = [{**spread[0], "similarity": 0.5}]
    titles = []
    for rows in (by_similarity, spread, []):
        pictures = edit_pictures(
            {"scores": [], "locality_by_similarity": rows, "relations": [], "retention": [], "kl": []}, pl.DataFrame()
        )
        titles.append(pictures[1].title)
        assert (pictures[1].drawing is None) == (not rows)
    assert titles == ["Locality by similarity of neighbors", "Locality, edit by edit", "Locality"]


def test_edits_one_after_another_stand_beside_no_published_table() -> None:
    mass = results()
    sequential = results(params={**mass.params, "protocol": {"kind": "sequential"}})
    assert "Published, for scale only" in text_of(report.page(mass))
    assert "Published, for scale only" not in text_of(report.page(sequential))
