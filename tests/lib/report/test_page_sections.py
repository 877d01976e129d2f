"""Every section of the page: what it shows of its results."""

from dataclasses import replace

import polars as pl

from lib.core.records import Reject
from lib.metrics.comparison import Comparison
from lib.metrics.examples import Passage
from lib.report import page as report
from lib.report.pictures import edit_pictures
from tests.helpers.pages import ABILITY, COMPARED, WEIGHTS, details, example, results, text_of


def test_the_comparison_shows_headline_measures_first_and_the_rest_on_demand() -> None:
    score = replace(COMPARED, kind="score", ci95=None, p_value=None, wins=None, ties=None, losses=None, bootstrap=None)
    rows = [score, COMPARED, replace(COMPARED, measure="accuracy", p_value=0.0001)]
    comparison = Comparison(a="unedited", b="edited", n=4, rows=rows, other_prompts={})
    first, rest = text_of(report.page(results(comparison=comparison))).split("Every other measure")
    assert "score success N 4 -37.5 100.0 62.5 \N{EN DASH} \N{EN DASH} \N{EN DASH}" in first
    assert "locality success N 4 -37.5 ± 2.2 100.0 62.5 -40.0 .. -35.0 0 / 1 / 3 p = 0.062" in first
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
    assert "four choice acc; guessing gives 25 98.5 ± 1.7 N 50 of 936 40.0 ± 6.9" in page
    assert "four choice f1 2.0 ± 0.5 N 50 of 936 1.0 ± 0.2" in page
    assert "perplexity perplexity 98.5 ± 1.7 N 50 of 936 40.0 ± 6.9" in page
    assert "Pool recall: not measured. the pool has 0 facts." in page
    assert "General abilities were not measured." in text_of(report.page(results(metrics={})))


def test_texts_show_their_measures_and_stand_side_by_side() -> None:
    page = text_of(report.page(results()))
    assert "exact match, edited prompts 12.5 ± 5.0 N 4 12.5 ± 5.0 N 4" in page
    assert "fluency 520 ± 5.0 N 4 520 ± 5.0 N 4" in page
    assert "KL to the unedited model \N{EN DASH} N 4 0.123 ± 5.0 N 4" in page
    assert "prompt unedited edited Everybody knows it. that." in page
    one_sided = [Passage(prompt="Everybody knows", before=" it.", after=None)]
    assert "Everybody knows it. not measured" in text_of(report.page(results(passages=one_sided)))
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
    assert "86.5 98.8 93.6 72.0" in page


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


def test_examples_mark_what_took_and_show_both_nlls_before_and_after() -> None:
    page = text_of(report.page(results(examples=(example(), example(took=False), example(took=None, before=None)))))
    assert "✓ took The capital is Rome Paris Paris. Rome. 3.00 → 0.25 0.50 → \N{EN DASH}" in page
    assert "✗ did not" in page
    assert "not measured The capital is Rome Paris not measured Rome." in page


def test_locality_is_drawn_by_similarity_only_where_neighbors_have_one() -> None:
    spread = [{"request_id": "a", "before": 100.0, "after": 50.0, "similarity": None}]
    by_similarity = [{**spread[0], "similarity": 0.5}]
    titles = []
    for rows in (by_similarity, spread, []):
        pictures = edit_pictures(
            {"scores": [], "locality_by_similarity": rows, "relations": [], "retention": [], "kl": []}, pl.DataFrame()
        )
        titles.append(pictures[1].title)
        assert (pictures[1].png is None) == (not rows)
    assert titles == ["Locality by similarity of neighbors", "Locality, edit by edit", "Locality"]
