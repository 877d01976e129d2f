"""The page: whatever comes from data is escaped, nothing is loaded from elsewhere, missing values are named."""

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
            pictures={"edits": [hostile], "abilities": [hostile], "weights": [hostile]},
            passages=[Passage(prompt=HOSTILE, before=HOSTILE, after=HOSTILE)],
            weights=WEIGHTS.with_columns(path=pl.lit(HOSTILE)),
        )
    )
    assert "<script" not in page
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
    complete = text_of(report.page(results()))
    page = text_of(report.page(results(details=details(missing=("score", "generalization")))))
    assert "not measured" not in complete
    assert page.count("not measured") >= 2 * len(scores.MEASURES)


def test_stages_without_metrics_or_device_are_said_to_be_missing() -> None:
    page = text_of(report.page(results(metrics={})))
    assert "paraphrase not measured" in page
    assert "dtype not recorded" in page
    assert "plain text not recorded" in page
    assert "together not measured" in page


def test_device_and_dtype_are_those_of_the_scoring() -> None:
    page = text_of(report.page(results(metrics={"edit": {"dtype": "bfloat16"}, "score": {"dtype": "float32"}})))
    assert "device not recorded dtype float32" in page


def test_a_plot_that_cannot_be_drawn_leaves_its_reason() -> None:
    page = report.page(
        results(
            pictures={"edits": [replace(PICTURE, caption="No curve.", drawing=None)], "abilities": [], "weights": []}
        )
    )
    assert "No curve." in page
    assert "<svg" not in page


def test_a_tree_that_differs_from_the_commit_is_said_to_and_so_is_a_missing_commit() -> None:
    assert "tree clean" in text_of(report.page(results()))
    assert "changed since: params.yaml" in text_of(report.page(results(changed=("params.yaml",))))
    assert "none: not a git checkout" in text_of(report.page(results(commit=None)))


def test_the_presets_that_a_run_takes_stand_on_the_page() -> None:
    page = text_of(report.page(results()))
    assert "model preset: tiny lora.r 16 train.lr 0.003" in page
    assert "editor preset: lora weight_decay 0.25" in page
