"""The page: whatever comes from data is escaped, nothing is loaded from elsewhere, missing values are named."""

import base64
import hashlib
import html
import re
from dataclasses import replace

import polars as pl

from lib.core.records import Reject
from lib.metrics import scores
from lib.metrics.comparison import Comparison
from lib.metrics.examples import Passage
from lib.report import page as report
from lib.report.pictures import Picture
from lib.report.plots.svg import drawing, text
from lib.report.training import TrainedEdit, TrainingSet
from tests.helpers.pages import ABILITY, COMPARED, PICTURE, WEIGHTS, details, example, results, text_of

HOSTILE = '<script>alert(1)</script>{{ 7 * 7 }}{% raw %}"onload="x'


def test_hostile_text_in_any_input_appears_only_as_text() -> None:
    hostile = Picture(
        name=HOSTILE, title=HOSTILE, caption=HOSTILE, drawing=drawing(10, 10, [text(HOSTILE, 0, 0)], HOSTILE)
    )
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
            pictures=[replace(hostile, name="scores"), replace(hostile, name="weight_maps")],
            training=TrainingSet(
                paraphrases={HOSTILE: 1},
                neighbors=1,
                edits=1,
                sample=[
                    TrainedEdit(
                        prompt=HOSTILE,
                        target_new=HOSTILE,
                        paraphrases=[(HOSTILE, HOSTILE)],
                        neighbors=[(HOSTILE, HOSTILE)],
                    )
                ],
            ),
            passages=[Passage(prompt=HOSTILE, before=HOSTILE, after=HOSTILE)],
            weights=WEIGHTS.with_columns(path=pl.lit(HOSTILE)),
        )
    )
    assert page.count("<script") == page.count("</script>") == 1
    assert '{% raw %}"onload' not in page
    assert "49" not in text_of(page)
    assert text_of(page).count(HOSTILE) >= 20


def test_the_page_loads_nothing() -> None:
    page = report.page(results(sources={"file": {"url": "https://example.org/facts.json"}}))
    addresses = re.findall(r"""(?:src|href|action|srcset|poster)\s*=\s*["']([^"']*)|url\(([^)]*)\)|@import""", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address, _ in addresses)
    assert page.count("<script") == 1


def test_the_browser_may_run_the_pages_own_script_and_nothing_else() -> None:
    page = report.page(results())
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert html.unescape(policy) == (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    )


def test_a_measure_that_is_missing_is_said_to_be_so() -> None:
    complete = text_of(report.page(results()))
    page = text_of(report.page(results(details=details(missing=("score", "generalization")))))
    assert "not measured" not in complete
    assert page.count("not measured") >= 2 * len(scores.MEASURES)


def test_stages_without_metrics_or_device_are_said_to_be_missing() -> None:
    page = text_of(report.page(results(metrics={})))
    assert "dtype not recorded" in page
    assert "plain text not recorded" in page
    assert "together not measured" in page


def test_device_and_dtype_are_those_of_the_scoring() -> None:
    page = text_of(report.page(results(metrics={"edit": {"dtype": "bfloat16"}, "score": {"dtype": "float32"}})))
    assert "device not recorded dtype float32" in page


def test_a_plot_that_cannot_be_drawn_leaves_its_reason() -> None:
    page = report.page(results(pictures=[replace(PICTURE, caption="No curve.", drawing=None)]))
    assert "Scores: No curve." in page
    assert "<svg" not in page


def test_a_tree_that_differs_from_the_commit_is_said_to_and_so_is_a_missing_commit() -> None:
    assert "tree clean" in text_of(report.page(results()))
    assert "changed since: params.yaml" in text_of(report.page(results(changed=("params.yaml",))))
    assert "none: not a git checkout" in text_of(report.page(results(commit=None)))


def test_the_presets_that_a_run_takes_stand_on_the_page() -> None:
    page = text_of(report.page(results()))
    assert "model preset: tiny lora.r 16 train.lr 0.003" in page
    assert "editor preset: lora weight_decay 0.25" in page


def test_the_title_says_the_model_the_facts_and_their_file_and_the_date_is_the_commits() -> None:
    params = {**results().params, "dataset": "own", "own": {"path": "some/folder/city.csv"}}
    page = report.page(results(params=params))
    assert "<title>tiny with 4 corrected facts, city.csv: safe</title>" in page
    assert "Facts of city.csv, edited by lora (mass editing), with Errata of 27 November 2026" in text_of(page)
    assert "2026" not in text_of(report.page(results(committed=None)))


def test_no_key_of_a_file_and_no_number_of_a_computer_is_seen_but_where_names_are_listed() -> None:
    metrics = {
        "paraphrase": {"fewshot_valid": 12.5, "dropped": {"copy": 4923.0}, "kept_given": 3, "evaluation_shortfall": 0},
        "edit": {"change": {"share_above_0.077": 75.0, "manhattan": 4.92e12}, "lr": 7e-5},
        "hypernet": {"steps": 0},
    }  # fmt: skip
    page = re.sub(r"<code>.*?</code>", "", report.page(results(metrics=metrics)), flags=re.DOTALL)
    seen = text_of(page)
    assert re.findall(r"\b[a-z]+_[a-z_]+\b|\b[a-z]+\.[a-z]+_?[a-z]*\b|\d[.\d]*e[-+]?\d+", seen) == []
    assert "left out: copy of the prompt 4,923" in seen
    assert "change of the weights: entries changed by over 7.7 %, percent 75" in seen
    assert "0.00007" in seen


def test_the_verdict_comes_first_then_the_texts_then_the_harm_then_the_numbers() -> None:
    page = report.page(results())
    positions = [page.index(f'id="{name}"') for name in ("verdict", "texts", "harm", "measures", "training", "run")]
    assert positions == sorted(positions)
    linked = re.findall(r'href="#([a-z-]+)"', page)
    assert len(linked) > 6
    assert all(page.count(f'id="{name}"') == 1 for name in linked)


def test_the_same_results_give_the_same_bytes() -> None:
    assert report.page(results()) == report.page(results())
