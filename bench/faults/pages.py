"""Hostile texts in every page, in a real browser: shown to the letter, and nothing of them runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.faults import Findings, Trial
from bench.faults.browser import browser, missing, problems
from bench.faults.forked import Forked, forked
from bench.faults.hostile import FILE_NAME, HUGE, TEXTS
from bench.faults.workspace import Sandbox, environment, small_sandbox
from lib.core.params import ROOT
from lib.metrics import comparison
from lib.report.literal import in_markdown
from lib.report.pages import render

TITLE = "Hostile texts in pages"
COLUMNS = ("page", "texts that it must show", "problems")
TEXT = f"""\
{len(TEXTS)} texts (scripts, handlers, what ends an element, an attribute, a script or a comment, entities, templates,
Markdown, marks of direction that are not ended, zero-width letters, stacked marks, controls) are the prompts, subjects,
targets, paraphrases and relations of one's own facts, and such a name is that of their file; the whole small pipeline
runs on them, and its pages are opened in Chromium at 1280 and 390 pixels, all parts unfolded. Names of runs are hostile
in the page of a comparison, one of them of {len(HUGE):,} letters without a space. The card's Markdown is rendered with
HTML allowed.

A problem is a script of the data that runs, a message on the console, an error, a dialog, anything that the page asks
for, an element or a handler that the texts made, a text that is not in the page to the letter, one that puts the page's
own words in another order, and a page that is wider than its window (of the pages of DVC and of the card, which other
tools lay out, only an error on the console counts, and no width).
"""
PLOTS_PAGE, CARD_PAGE = "plots.html", "card.html"
"""Pages that other tools make: they may warn, and need not fit into a phone."""
UNREACHED = (
    "What Vega draws of the labels in the page of `dvc plots`: they are on a canvas, which is not read.",
    "GitHub's and the hub's own rendering of the card; browsers other than Chromium.",
    "The terminal: what rich and the shell make of such texts is tested in tests/apps, not here.",
)
_MARKDOWN = """<!doctype html><html><head><meta charset="utf-8"></head><body>{}</body></html>"""


def measure(trial: Trial) -> Findings:
    """Make the pages, open them, and count."""
    if lacks := missing():
        return Findings(title=TITLE, text=TEXT, columns=COLUMNS, rows=(), faults=(), unreached=(
            f"Everything: the pages could not be opened here ({lacks}).",
        ))  # fmt: skip
    rows = trial.once("pages", partial(_rows, trial.folder / "pages"))
    return Findings(
        title=TITLE,
        text=TEXT,
        columns=COLUMNS,
        rows=tuple((row["page"], str(row["texts"]), str(len(row["problems"]))) for row in rows),
        faults=tuple(f"{row['page']}: {problem}" for row in rows for problem in row["problems"]),
        unreached=UNREACHED,
    )


def _rows(folder: Path) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    with small_sandbox() as workspace, browser() as chromium:
        _run(workspace)
        return [
            {
                "page": name,
                "texts": len(texts),
                "problems": problems(chromium, path, texts, path.name not in (PLOTS_PAGE, CARD_PAGE)),
            }
            for name, path, texts in (*_pipeline(workspace), *_named(workspace, folder), *_cards(folder))
        ]


def write_facts(path: Path) -> None:
    """One's own facts, one for each of the texts, which is in every field."""
    rows = [
        {
            "prompt": f"The capital of {text} {number} is", "subject": f"{text} {number}",
            "target_new": f"{text} new", "target_true": f"{text} old", "relation": text,
            "paraphrases": [f"Named {text} {number}, its capital is"],
        }
        for number, text in enumerate(TEXTS.values())
    ]  # fmt: skip
    path.write_text(json.dumps(rows), encoding="utf-8")


def _run(workspace: Sandbox) -> None:
    """The whole pipeline on hostile facts."""
    write_facts(workspace.folder / FILE_NAME)
    workspace.change({
        "dataset": "own", "own": {"path": FILE_NAME, "pool": "world"}, "facts": {"limit": len(TEXTS)},
        "neighbors": {"kind": "none"},
        "score": {"examples": len(TEXTS), "greedy": {"limit": len(TEXTS)}},
    })  # fmt: skip
    with TemporaryDirectory() as logs, forked(workspace, Path(logs) / "log") as stages:
        for stage in workspace.stages:
            _to_its_end(stages, stage)


def _to_its_end(stages: Forked, stage: str) -> None:
    ended = stages.run(stage, learn=True)
    if ended.status:
        raise RuntimeError(f"{stage} on hostile facts: exit status {ended.status}: {ended.log[-2000:]}")


def _pipeline(workspace: Sandbox) -> Iterator[tuple[str, Path, Sequence[str]]]:
    """The report with its pictures, and DVC's page of plots."""
    yield "report/index.html", workspace.folder / "report" / "index.html", [*TEXTS.values(), FILE_NAME]
    for picture in sorted((workspace.folder / "report").glob("*.svg")):
        yield f"report/{picture.name}", picture, ()
    yield "the page of `dvc plots show`", _plots_page(workspace), ()


def _plots_page(workspace: Sandbox) -> Path:
    """What DVC makes of the rows of the plots in the page that it is given."""
    command = (sys.executable, "-m", "dvc")
    subprocess.run([*command, "init", "-q", "--no-scm"], cwd=workspace.folder, env=environment(), check=True)
    shutil.copyfile(ROOT / ".dvc" / "plots_page.html", workspace.folder / ".dvc" / "plots_page.html")
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    (workspace.folder / ".dvc" / "config").write_text(config.replace("[core]", "[core]\n    no_scm = true"), "utf-8")
    subprocess.run(
        [*command, "plots", "show", "-o", "plots"], cwd=workspace.folder, env=environment(), check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return (workspace.folder / "plots" / "index.html").rename(workspace.folder / PLOTS_PAGE)


def _named(workspace: Sandbox, folder: Path) -> Iterator[tuple[str, Path, Sequence[str]]]:
    """The comparison of two runs, of each of the names."""
    plain: Mapping[str, Any] = json.loads((workspace.folder / "results/evaluate.json").read_text())["comparison"]
    for number, (kind, text) in enumerate({**TEXTS, "huge": HUGE}.items()):
        path = folder / f"comparison-{number}.html"
        runs = comparison.from_plain({**plain, "a": text, "b": f"{text} 2"})
        path.write_text(render("comparison.html.j2", runs=runs), encoding="utf-8")
        yield f"comparison, {kind}", path, [text, f"{text} 2"]


def _cards(folder: Path) -> Iterator[tuple[str, Path, Sequence[str]]]:
    """Cells and names as the card has them."""
    from markdown_it import MarkdownIt

    cells = [in_markdown(text) for text in TEXTS.values()]
    lines = ["| prompt | wanted |", "|---|---|", *(f"| {cell} | {cell} |" for cell in cells), ""]
    lines += [*(f"- base model: {cell} (tiny)" for cell in cells), "", f"# 3 facts corrected in {cells[0]}"]
    path = folder / CARD_PAGE
    path.write_text(_MARKDOWN.format(MarkdownIt("commonmark").enable("table").render("\n".join(lines))), "utf-8")
    yield "README.md of an edit", path, [*TEXTS.values()]
