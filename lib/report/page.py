"""The report: one self-contained page that says what was run, what came of it, and what is missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from lib.core.records import FOUND, Reject
from lib.metrics import abilities as ability_lines
from lib.metrics import published
from lib.metrics import weights as weight_lines
from lib.metrics.comparison import Comparison
from lib.metrics.examples import AnswerExample, Passage
from lib.metrics.headline import TEACHER_FORCED, Column, is_shown, shown
from lib.metrics.scores import GENERATION, KINDS, MEASURES, WHENS
from lib.metrics.verdict import Verdict
from lib.report import edited, pages
from lib.report.basis import basis, shortfalls
from lib.report.headline import table_title
from lib.report.judge import rows as judged_rows
from lib.report.pictures import Picture
from lib.report.portability import groups as implied_groups
from lib.report.tiles import tiles
from lib.report.training import TrainingSet
from lib.report.wording import ABSENT, day, sentence, teacher_forced

REJECTS_SHOWN = 10
PASSAGES_SHOWN = 2
TRAINED_SHOWN, BESIDE_SHOWN = 3, 3
"""Edits of the training set that are seen at once, and paraphrases and neighbors of each."""
TEXT_MEASURES = {
    ("efficacy", "took"): ("exact match and a sane tail, edited prompts", "percent"),
    ("generalization", "took"): ("exact match and a sane tail, in other words", "percent"),
    ("generalization", "repetition"): ("repetition, in other words", "percent"),
    (GENERATION, "fluency"): ("fluency", "bits"),
    (GENERATION, "consistency"): ("consistency", "bits"),
}
"""What is measured on texts beside the headline, in words, and its unit."""
WEIGHTS_SHOWN = 9
"""Rows of the weight table that are seen at once: the total, and the most changed weights."""
_MADE_BY = ("facts", "paraphrase", "neighbors")
"""The stages that make the training set, in the order of the pipeline."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that the page shows, as the stages left it."""

    params: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]
    """By group (dataset, model, editor) the values of the presets that `params` names."""
    commit: str | None
    committed: date | None
    """When the commit was made: the date that the page bears, so that the same run gives the same page."""
    changed: Sequence[str]
    """Files that differ from the commit, the pipeline's own outputs left out."""
    versions: Mapping[str, str]
    hardware: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, Any]]
    """By stage, in the order of the pipeline, its metrics and its further results."""
    details: Mapping[str, Any]
    """Summaries of every measure: summaries.details'."""
    numbers: Mapping[str, Any]
    """The headline: lib.metrics.headline's."""
    verdict: Verdict
    training: TrainingSet
    sources: Any
    rejects: Sequence[Reject]
    examples: Sequence[AnswerExample]
    passages: Sequence[Passage]
    comparison: Comparison
    """The edited model against the unedited one."""
    weights: pl.DataFrame
    """Stage edit's table of what changes in the weights."""
    pictures: Sequence[Picture]


def page(results: Results) -> str:
    """The page as HTML, complete in itself. Whatever comes from data is escaped."""
    rests_on = basis(results.params, results.metrics, results.numbers, results.versions)
    return pages.render(
        "report.html.j2",
        results=results,
        source_of_facts=_source_of_facts(results.params),
        date=None if results.committed is None else day(results.committed),
        verdict=results.verdict,
        numbers=results.numbers,
        sentence=sentence(results.numbers, results.metrics.get("facts", {}).get("text_source")),
        tiles=tiles(results.numbers),
        basis=rests_on,
        shortfalls=shortfalls(rests_on),
        pictures=lambda *names: [picture for name in names for picture in results.pictures if picture.name == name],
        whens=WHENS,
        absent=ABSENT,
        **_texts(results),
        **_harm(results),
        **_measures(results),
        **_training(results),
        **_weights(results),
        **_run(results),
    )


def _texts(results: Results) -> dict[str, Any]:
    worst, best = edited.ends(results.examples)
    ordered = edited.worst_first(results.examples)
    return {"worst": worst, "best": best, "ordered": ordered, "failures": _failures(results)}


def _harm(results: Results) -> dict[str, Any]:
    abilities = results.metrics.get("abilities", {})
    return {
        "abilities": ability_lines.lines(abilities.get("tasks", {})),
        "not_measured": abilities.get("not_measured", {}),
        "passages_shown": PASSAGES_SHOWN,
    }


def _measures(results: Results) -> dict[str, Any]:
    params, measure = results.params, results.details["headline"]
    headline = [row for row in results.comparison.rows if is_shown(row.kind, row.measure, measure)]
    return {
        "teacher_forced_sentence": teacher_forced(results.numbers),
        "groups": (
            ("what the edited model writes, and what that cost", _written(results.numbers)),
            ("teacher-forced: the answer is read out to the model", TEACHER_FORCED),
        ),
        "implied": implied_groups(results.numbers),
        "judged": judged_rows(results.numbers),
        "table_title": table_title,
        "published": published.table(params["dataset"], params["protocol"]["kind"], measure),
        "source": published.SOURCE,
        "names": ("score", *KINDS),
        "published_names": (*KINDS, "score"),
        "measures": MEASURES,
        "compared": headline,
        "compared_too": [row for row in results.comparison.rows if row not in headline],
        "written": [(title, kind, name, unit) for (kind, name), (title, unit) in TEXT_MEASURES.items()],
    }


def _training(results: Results) -> dict[str, Any]:
    return {
        "trained_shown": TRAINED_SHOWN,
        "beside_shown": BESIDE_SHOWN,
        "made_by": _MADE_BY,
        "reasons": _reasons(results.rejects),
        "rejects_shown": results.rejects[:REJECTS_SHOWN],
    }


def _weights(results: Results) -> dict[str, Any]:
    rows, shares = weight_lines.last_rows(results.weights), weight_lines.shares(results.weights)
    return {"weights": rows, "weight_shares": shares, "weights_shown": WEIGHTS_SHOWN}


def _run(results: Results) -> dict[str, Any]:
    figures = {stage: _without_seconds(values) for stage, values in results.metrics.items()}
    return {
        "stages": figures,
        "silent": [stage for stage, values in figures.items() if not values],
        "timings": {stage: values["seconds"] for stage, values in results.metrics.items() if values.get("seconds")},
    }


def _source_of_facts(params: Mapping[str, Any]) -> str:
    """The user's own file by its name, else the dataset's."""
    return Path(params["own"]["path"]).name if params["dataset"] == "own" else str(params["dataset"])


def _reasons(rejects: Sequence[Reject]) -> list[tuple[str, int]]:
    """How often each field was rejected for what was wanted of it, most often first."""
    reasons = (f"{row.field.partition('[')[0]}: {row.reason.partition(FOUND)[0]}" for row in rejects)
    return Counter(reasons).most_common()


def _written(numbers: Mapping[str, Any]) -> list[Column]:
    return [column for column in shown([numbers]) if column not in TEACHER_FORCED]


def _failures(results: Results) -> tuple[int, int] | None:
    """How many edits did not take, and of how many; None where no text was written."""
    summary = results.details["after"]["efficacy"]["took"]
    return None if summary is None else (round((1 - summary["mean"] / 100) * summary["n"]), summary["n"])


def _without_seconds(values: Mapping[str, Any]) -> dict[str, Any]:
    """Time has a table of its own."""
    return {name: value for name, value in values.items() if name != "seconds"}
