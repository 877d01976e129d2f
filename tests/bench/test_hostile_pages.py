"""Hostile texts in the pages: shown to the letter, with nothing of them run, in Chromium; and how they are written."""

import json
from pathlib import Path

import pytest

from bench.faults.browser import browser, missing, problems
from bench.faults.hostile import HUGE, TEXTS
from lib.core.records import Reject
from lib.metrics.comparison import Comparison
from lib.metrics.examples import Passage
from lib.metrics.plot_rows import in_script
from lib.report.literal import in_markdown, in_xml, isolated, reorders
from lib.report.page import page
from lib.report.pages import render
from lib.report.training import TrainedEdit, TrainingSet
from tests.helpers.pages import COMPARED, example, results

ALL = tuple(TEXTS.values())
LONG = (*ALL, HUGE)
_ISOLATES = "\u2068\u2069"
in_a_browser = pytest.mark.skipif(bool(missing()), reason=missing())


def hostile_report() -> str:
    """A report in which the texts are whatever comes from data, and the override is every name."""
    name = TEXTS["override"]
    beside = [
        TrainedEdit(prompt=text, target_new=text, paraphrases=[(text, text)] * 5, neighbors=[(text, text)] * 5)
        for text in LONG
    ]
    return page(
        results(
            examples=tuple(
                example(prompt=text, target_new=text, target_true=text, before=text, after=text) for text in LONG
            ),
            training=TrainingSet(paraphrases=dict.fromkeys(ALL, 1), neighbors=4, edits=len(LONG), sample=beside),
            rejects=[Reject(file=text, line=3, field=text, reason=f"wanted text; found {text}") for text in LONG],
            passages=[Passage(prompt=text, before=text, after=text) for text in ALL],
            params={**results().params, "dataset": "own", "own": {"path": TEXTS["handler"]}, "model": name},
            presets={"model": {"name": name}, "dataset": {"loader": HUGE}},
            changed=[TEXTS["handler"]],
            hardware={"processor": name},
        )
    )


@pytest.mark.browser
@in_a_browser
def test_pages_show_hostile_texts_and_run_nothing_of_them(tmp_path: Path) -> None:
    paths = [tmp_path / "report.html", tmp_path / "comparison.html"]
    paths[0].write_text(hostile_report(), encoding="utf-8")
    names = "".join(ALL)
    runs = Comparison(a=f"{HUGE}{names}", b=TEXTS["isolate"], n=4, rows=[COMPARED], other_prompts={"locality": 2})
    paths[1].write_text(render("comparison.html.j2", runs=runs), encoding="utf-8")
    with browser() as chromium:
        assert problems(chromium, paths[0], LONG) == []
        assert problems(chromium, paths[1], [f"{HUGE}{names}", TEXTS["isolate"]]) == []


@pytest.mark.browser
@in_a_browser
def test_what_a_page_does_wrong_is_found(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        f"<!doctype html><meta charset=utf-8><body><p>{'<p>'.join(ALL[3:5])}<p>\u202ea<i> page</i>", "utf-8"
    )
    with browser() as chromium:
        wrong = problems(chromium, path, [ALL[3]])
    kinds = {problem.partition(":")[0] for problem in wrong}
    assert kinds == {"console", "element", "not shown", "reorders what is beside it", "asked for file"}


def test_only_a_text_that_reorders_what_follows_gets_an_element() -> None:
    assert [isolated(value) for value in ("Rome", 3, "\u202eRome")] == ["Rome", 3, "<bdi>\u202eRome</bdi>"]
    assert isolated("\u05d0<b>") == "<bdi>\u05d0&lt;b&gt;</bdi>"
    assert [reorders(text) for text in ("Zürich 1", "\u0627", "a\u2067")] == [False, True, True]


def test_markdown_of_a_text_is_that_text() -> None:
    from markdown_it import MarkdownIt

    for text in ALL:
        (inline,) = (
            token for token in MarkdownIt("commonmark").parse(f"- name: {in_markdown(text)}") if token.children
        )
        assert {token.type for token in inline.children or ()} <= {"text", "text_special"}
        rendered = "".join(token.content for token in inline.children or ())
        without_isolates = rendered.strip(_ISOLATES).removeprefix("name: ").strip(_ISOLATES)
        assert without_isolates == " ".join(text.split()).strip(_ISOLATES)
    assert in_markdown("SmolLM2-135M my_model") == "SmolLM2-135M my_model"


def test_a_script_of_another_tool_is_not_ended_by_a_row_of_a_plot() -> None:
    written = json.dumps(in_script([{"relation": "a</script><!--", "n": 3}, {"relation": "a < b"}]))
    assert "</" not in written
    assert "<!" not in written
    assert json.loads(written)[1] == {"relation": "a < b"}


def test_a_picture_has_no_letter_that_xml_has_not() -> None:
    assert in_xml("a\x07\x1b\ud800b\n\U0001f469") == "a\ufffd\ufffd\ufffdb\n\U0001f469"
