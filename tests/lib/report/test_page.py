"""The page: whatever comes from data is escaped, nothing is loaded from elsewhere, what is missing is said."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import polars as pl

from lib.core.records import Reject
from lib.metrics import scores
from lib.metrics.bootstrap import Interval
from lib.metrics.comparison import Comparison, ComparisonRow
from lib.metrics.examples import Example, Passage, examples, passages
from lib.report import page as report
from lib.report.pictures import Picture, edit_pictures

HOSTILE = '<script>alert(1)</script>{{ 7 * 7 }}{% raw %}"onload="x'
STAGES = ("facts", "base", "paraphrase", "neighbors", "edit", "score")
PICTURE = Picture(name="scores", title="Scores", caption="All.", png=b"picture")
COMPARED = ComparisonRow(
    kind="locality", measure="success", n=4, a=100.0, b=62.5, difference=-37.5, ci95=2.25,
    bootstrap=Interval(low=-40.0, high=-35.04), p_value=0.0625, wins=0, ties=1, losses=3,
)  # fmt: skip
ABILITY = {"metric": "acc", "unit": "percent", "n": 50, "of": 936, "chance": 25, "truncated": 0, "before": 98.5,
           "before_ci95": 1.68, "after": 40.0, "after_ci95": 6.9}  # fmt: skip
WEIGHTS = pl.DataFrame(
    {"edits": 4, "path": ["layer.0", "layer.1", "all"], "entries": [50_000, 7, 50_007], "manhattan": [5e3, 2.0, 5e3],
     "frobenius": [9.126, 0.5, 9.126], "share_above_0.077": [12.34, 0.0, 12.34], "rank": [None, 3, None],
     "largest": [1.0, 2.0, 2.0], "base_largest": [3.0, 4.0, 4.0]}
)  # fmt: skip
NLL = {"new_before": 3.0, "true_before": 0.5, "new_after": 0.25, "true_after": None}


def details(missing: tuple[str, ...] = ()) -> dict[str, Any]:
    """All measures at 50 %, but those of the kinds in `missing`."""
    one = {"mean": 50.0, "ci95": 5.0, "n": 4}
    kinds = {
        kind: dict.fromkeys(scores.SCORED if kind == "score" else scores.MEASURES, None if kind in missing else one)
        for kind in ("score", *scores.KINDS)
    }
    texts = {"exact_match": {**one, "mean": 12.5}, "kl": {**one, "mean": 0.1234}, "fluency": {**one, "mean": 520.4},
             "consistency": None if missing else {**one, "mean": 17.06}}  # fmt: skip
    for kind, measures in scores.BESIDE.items():
        kinds.setdefault(kind, {})
        kinds[kind] |= {measure: texts[measure] for measure in measures}
    return {"headline": "success", "n": 4, "before": kinds, "after": kinds}


def example(**changed: Any) -> Example:
    values: dict[str, Any] = {"prompt": "The capital is", "target_new": "Rome", "target_true": "Paris"}
    values |= {"before": " Paris.", "after": " Rome.", "nll": NLL, "took": True}
    return Example(**(values | changed))


def results(**changed: Any) -> report.Results:
    values: dict[str, Any] = {
        "params": {
            "dataset": "world",
            "model": "tiny",
            "editor": "lora",
            "seed": 3,
            "protocol": {"kind": "mass"},
            "regularize": {"method": "none"},
        },
        "presets": {"model": {"lora": {"r": 16}, "train": {"lr": 0.003}}, "editor": {"weight_decay": 0.25}},
        "commit": "0" * 40,
        "changed": (),
        "versions": {"python": "3.11"},
        "hardware": {"processor": "abacus"},
        "metrics": {
            **{stage: {"rows": 9, "seconds": 61.0} for stage in STAGES},
            "abilities": {"mode": "corrected", "tasks": {"recall": ABILITY}},
        },
        "details": details(),
        "sources": {},
        "rejects": (),
        "examples": (example(),),
        "passages": [Passage(prompt="Everybody knows", before=" it.", after=" that.")],
        "comparison": Comparison(a="unedited", b="edited", n=4, rows=[COMPARED], other_prompts={}),
        "weights": WEIGHTS,
        "pictures": {"edits": [PICTURE], "abilities": [PICTURE], "weights": [PICTURE]},
    }
    return report.Results(**(values | changed))


def text_of(page: str) -> str:
    """What a reader sees, spaces folded."""
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_data = seen.append  # type: ignore[method-assign]
    parser.feed(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(" ".join(seen).split())


def test_hostile_text_in_any_input_appears_only_as_text() -> None:
    hostile = Picture(name=HOSTILE, title=HOSTILE, caption=HOSTILE, png=b"p")
    page = report.page(
        results(
            params={**results().params, "editor": HOSTILE, HOSTILE: HOSTILE},
            presets={"model": {HOSTILE: HOSTILE}},
            commit=HOSTILE,
            changed=(HOSTILE,),
            versions={"python": HOSTILE},
            hardware={HOSTILE: HOSTILE},
            metrics={
                "facts": {HOSTILE: HOSTILE},
                "edit": {"device": HOSTILE, "dropped": {HOSTILE: 1}},
                "abilities": {
                    "tasks": {HOSTILE: {**ABILITY, "metric": HOSTILE, "unit": HOSTILE}},
                    "mode": "corrected",
                    "not_measured": {HOSTILE: HOSTILE},
                },
            },
            sources={HOSTILE: [HOSTILE]},
            rejects=(Reject(file=HOSTILE, line=1, field=HOSTILE, reason=HOSTILE),),
            examples=(example(prompt=HOSTILE, target_new=HOSTILE, target_true=HOSTILE, before=HOSTILE, after=HOSTILE),),
            comparison=Comparison(a=HOSTILE, b=HOSTILE, n=4, rows=[replace(COMPARED, kind=HOSTILE)], other_prompts={}),
            pictures={"edits": [hostile], "abilities": [hostile], "weights": [hostile]},
            passages=[Passage(prompt=HOSTILE, before=HOSTILE, after=HOSTILE)],
            weights=WEIGHTS.with_columns(path=pl.lit(HOSTILE)),
        )
    )
    assert "<script" not in page
    assert 'alt="<' not in page
    assert '{% raw %}"onload' not in page
    assert "49" not in text_of(page)
    assert text_of(page).count(HOSTILE) >= 20


def test_the_page_loads_nothing() -> None:
    page = report.page(results(sources={"file": {"url": "https://example.org/facts.json"}}))
    addresses = re.findall(r"""(?:src|href|action|srcset|poster)\s*=\s*["']([^"']*)|url\(([^)]*)\)|@import""", page)
    assert addresses
    assert all(address.startswith("data:") for address, _ in addresses)
    assert "<script" not in page


def test_a_measure_that_is_missing_is_said_to_be_so() -> None:
    whole = text_of(report.page(results()))
    page = text_of(report.page(results(details=details(missing=("score", "generalization")))))
    assert "not measured" not in whole
    assert "Generalization was not measured" in page
    assert page.count("not measured") >= 2 + 2 * len(scores.MEASURES)


def test_stages_without_metrics_or_device_are_said_to_be_missing() -> None:
    page = text_of(report.page(results(metrics={})))
    assert "paraphrase not measured" in page
    assert "dtype not recorded" in page
    assert "together not measured" in page


def test_device_and_dtype_are_those_of_the_scoring() -> None:
    page = text_of(report.page(results(metrics={"edit": {"dtype": "bfloat16"}, "score": {"dtype": "float32"}})))
    assert "device not recorded dtype float32" in page


def test_a_plot_that_cannot_be_drawn_leaves_its_reason() -> None:
    page = report.page(
        results(pictures={"edits": [replace(PICTURE, caption="No curve.", png=None)], "abilities": [], "weights": []})
    )
    assert "No curve." in page
    assert "<img" not in page


def test_the_comparison_shows_headline_measures_first_and_the_rest_on_demand() -> None:
    score = replace(COMPARED, kind="score", ci95=None, p_value=None, wins=None, ties=None, losses=None, bootstrap=None)
    rows = [score, COMPARED, replace(COMPARED, measure="accuracy", p_value=0.0001)]
    found = Comparison(a="unedited", b="edited", n=4, rows=rows, other_prompts={})
    first, rest = text_of(report.page(results(comparison=found))).split("Every other measure")
    assert "score success N 4 -37.5 100.0 62.5 \N{EN DASH} \N{EN DASH} \N{EN DASH}" in first
    assert "locality success N 4 -37.5 ± 2.2 100.0 62.5 -40.0 .. -35.0 0 / 1 / 3 p = 0.062" in first
    assert "locality accuracy" not in first
    assert "locality accuracy N 4 -37.5 ± 2.2 100.0 62.5 -40.0 .. -35.0 0 / 1 / 3 p < 0.001" in rest


def test_abilities_show_before_after_counts_and_guessing_and_what_was_not_measured_and_why() -> None:
    more = {"f1": {"before": 2.0, "before_ci95": 0.5, "after": 1.0, "after_ci95": 0.25}}
    found = {
        "mode": "corrected",
        "tasks": {
            "four_choice": {**ABILITY, "more": more},
            "perplexity": {**ABILITY, "metric": "perplexity", "unit": "perplexity", "chance": None},
        },
        "not_measured": {"pool_recall": "the pool has 0 facts"},
    }
    page = text_of(report.page(results(metrics={"abilities": found})))
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


def test_passages_are_the_sampled_texts_after_the_first_prompt_of_the_first_edits() -> None:
    columns = ("request_id", "when", "decoding", "prompt_index", "prompt", "text")
    rows = [
        ("b", "before", "greedy", 0, "own", "no"), ("b", "before", "sampled", 0, "B", "1"),
        ("b", "before", "sampled", 1, "C", "no"), ("a", "before", "sampled", 0, "A", "2"),
        ("c", "before", "sampled", 0, "D", "no"), ("b", "after", "sampled", 0, "B", "3"),
    ]  # fmt: skip
    found = passages(pl.DataFrame(rows, schema=list(columns), orient="row"), 2)
    assert found == [Passage(prompt="B", before="1", after="3"), Passage(prompt="A", before="2", after=None)]


def test_weights_show_the_total_then_each_with_a_dash_for_a_rank_that_was_not_looked_for() -> None:
    page = text_of(report.page(results()))
    assert (
        "over 7.7 % rank largest singular value all together 50,007 5,000 9.13 12.3 % \N{EN DASH} 2.00 unedited 4.00"
        in page
    )
    assert "layer.0 50,000 5,000 9.13 12.3 % \N{EN DASH} 1.00 unedited 3.00" in page
    assert "layer.1 7 2.00 0.500 0.0 % 3 2.00 unedited 4.00" in page
    many = pl.concat([WEIGHTS, *(WEIGHTS[:1].with_columns(path=pl.lit(f"more.{one}")) for one in range(9))])
    assert "3 weights more" in text_of(report.page(results(weights=many)))
    nothing = text_of(report.page(results(weights=WEIGHTS.clear())))
    assert "No weight is changed, or none is kept: mass editing by lora." in nothing


def test_published_numbers_are_marked_as_another_models() -> None:
    page = text_of(report.page(results()))
    assert "Published, for scale only: another model" in page
    assert "CounterFact, GPT-J 6B, 10,000 edits at once" in page
    assert "86.5 98.8 93.6 72.0" in page


def test_a_tree_that_differs_from_the_commit_is_said_to_and_so_is_a_missing_commit() -> None:
    assert "tree clean" in text_of(report.page(results()))
    assert "changed since: params.yaml" in text_of(report.page(results(changed=("params.yaml",))))
    assert "none: not a git checkout" in text_of(report.page(results(commit=None)))


def test_rejects_are_counted_by_reason_and_the_first_are_shown() -> None:
    some = [
        Reject(file="f.csv", line=line, field="prompt", reason=f"wanted text; found {line}") for line in range(1, 13)
    ]
    page = text_of(report.page(results(rejects=some)))
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


def test_examples_are_the_edits_with_a_continuation_in_their_own_order() -> None:
    edits = pl.DataFrame({"request_id": ["b", "a", "c"], "prompt": ["B", "A", "C"], "target_new": ["n", "n", "n"],
                          "target_true": ["t", None, "t"]})  # fmt: skip
    generations = pl.DataFrame(
        {"request_id": ["a", "b", "b"], "when": ["after", "before", "after"], "text": ["1", "2", "3"]}
    )
    nll = pl.DataFrame({"request_id": ["a", "b"], **{name: [1.0, 2.0] for name in NLL}})
    took = pl.DataFrame({"request_id": ["b"], "took": [True]})
    first, second = examples(edits, generations, nll, took)
    assert first == Example(
        prompt="B", target_new="n", target_true="t", before="2", after="3", nll=dict.fromkeys(NLL, 2.0), took=True
    )
    assert replace(second, nll=NLL) == Example(
        prompt="A", target_new="n", target_true=None, before=None, after="1", nll=NLL, took=None
    )


def test_locality_is_drawn_by_similarity_only_where_neighbors_have_one() -> None:
    spread = [{"request_id": "a", "before": 100.0, "after": 50.0, "similarity": None}]
    by_similarity = [{**spread[0], "similarity": 0.5}]
    titles = []
    for rows in (by_similarity, spread, []):
        made = edit_pictures(
            {"scores": [], "locality_by_similarity": rows, "relations": [], "retention": [], "kl": []}, pl.DataFrame()
        )
        titles.append(made[1].title)
        assert (made[1].png is None) == (not rows)
    assert titles == ["Locality by similarity of neighbors", "Locality, edit by edit", "Locality"]


def test_the_presets_that_a_run_takes_stand_on_the_page() -> None:
    page = text_of(report.page(results()))
    assert "model preset: tiny lora.r 16 train.lr 0.003" in page
    assert "editor preset: lora weight_decay 0.25" in page


def test_the_terminal_table_has_a_line_a_metric_and_says_what_is_missing() -> None:
    before = {**dict.fromkeys(("score", *scores.KINDS), 5.0), "exact_match": 0.0, "exact_match_paraphrases": None}
    after = {**before, **{f"{name}_ci95": 5.0 for name in ("score", *scores.KINDS)}, "n": 4, "before": before}
    after |= {"efficacy": 97.444, "generalization": None, "generalization_ci95": None, "unchanged": 90.0}
    after["perplexity_ratio"] = 1.0312
    assert report.headline_text(after).splitlines() == [
        "                                  before          after",
        "exact match                         0.00           0.00",
        "exact match paraphrases     not measured   not measured",
        "unchanged                                         90.00",
        "perplexity ratio                                  1.031",
        "score                               5.00    5.00 ± 5.00",
        "efficacy                            5.00   97.44 ± 5.00",
        "generalization                      5.00   not measured",
        "locality                            5.00    5.00 ± 5.00",
        "4 edits; percent, the last four with 95 % intervals",
    ]
