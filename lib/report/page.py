"""The report: one self-contained page that says what was run, what came of it, and what is missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib.core.records import FOUND, Reject
from lib.metrics import abilities as ability_lines
from lib.metrics import published
from lib.metrics import weights as weight_lines
from lib.metrics.comparison import Comparison
from lib.metrics.examples import Example, Passage
from lib.metrics.scores import GENERATION, KINDS, MEASURES, WHENS
from lib.metrics.summaries import TEXTS
from lib.report import pages
from lib.report.pictures import Picture
from lib.report.wording import ABSENT, flat, interval, percent, sentence

REJECTS_SHOWN = 10
WRITTEN = {
    ("efficacy", "exact_match"): ("exact match, edited prompts", "percent"),
    ("generalization", "exact_match"): ("exact match, in other words", "percent"),
    (GENERATION, "fluency"): ("fluency", "bits"),
    (GENERATION, "consistency"): ("consistency", "bits"),
    ("locality", "kl"): ("KL to the unedited model", "nats"),
}
"""What is measured on texts and distributions, in words, and its unit."""
WEIGHTS_SHOWN = 9
"""Rows of the weight table that are seen at once: the total, and the most changed weights."""
_NAME_WIDTH = 25
_MADE_BY = ("facts", "paraphrase", "neighbors")
"""The stages that make the training set, in the order of the pipeline."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that the page shows, as the stages left it."""

    params: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]
    """By group (dataset, model, editor) the values of the presets that `params` names."""
    commit: str | None
    changed: Sequence[str]
    """Files that differ from the commit, the pipeline's own outputs left out."""
    versions: Mapping[str, str]
    hardware: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, Any]]
    """By stage, in the order of the pipeline, its metrics and its further results."""
    details: Mapping[str, Any]
    """Summaries of every measure: summaries.details'."""
    sources: Any
    rejects: Sequence[Reject]
    examples: Sequence[Example]
    passages: Sequence[Passage]
    comparison: Comparison
    """The edited model against the unedited one."""
    weights: pl.DataFrame
    """Stage edit's table of what changes in the weights."""
    pictures: Mapping[str, Sequence[Picture]]
    """By section of the page: edits, abilities, weights."""


def page(results: Results) -> str:
    """The page as HTML, complete in itself. Whatever comes from data is escaped."""
    params, details = results.params, results.details
    abilities = results.metrics.get("abilities", {})
    headline = [row for row in results.comparison.rows if row.measure == details["headline"]]
    return pages.render(
        "report.html.j2",
        results=results,
        sentence=sentence(details),
        published=published.table(params["dataset"], params["protocol"]["kind"], details["headline"]),
        source=published.SOURCE,
        names=("score", *KINDS),
        whens=WHENS,
        measures=MEASURES,
        absent=ABSENT,
        compared=headline,
        compared_too=[row for row in results.comparison.rows if row not in headline],
        written=[(title, kind, measure, unit) for (kind, measure), (title, unit) in WRITTEN.items()],
        weights=weight_lines.last_rows(results.weights),
        weight_shares=weight_lines.shares(results.weights),
        weights_shown=WEIGHTS_SHOWN,
        abilities=ability_lines.lines(abilities.get("tasks", {})),
        not_measured=abilities.get("not_measured", {}),
        seeds=[(name, value) for name, value in flat(params) if name.split(".")[-1] == "seed"],
        stages={stage: _without_seconds(values) for stage, values in results.metrics.items()},
        made_by=_MADE_BY,
        recorded={name: _recorded(results.metrics, name) for name in ("device", "dtype")},
        reasons=_reasons(results.rejects),
        rejects_shown=results.rejects[:REJECTS_SHOWN],
        timings={stage: values["seconds"] for stage, values in results.metrics.items() if values.get("seconds")},
    )


def _reasons(rejects: Sequence[Reject]) -> list[tuple[str, int]]:
    """How often each field was rejected for what was wanted of it, most often first."""
    reasons = (f"{row.field.partition('[')[0]}: {row.reason.partition(FOUND)[0]}" for row in rejects)
    return Counter(reasons).most_common()


def _recorded(metrics: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """What the stages that ran the model say of it: the scoring first, because the numbers come from there."""
    values = [metrics[stage][name] for stage in ("score", "edit", "base") if name in metrics.get(stage, {})]
    return str(values[0]) if values else "not recorded"


def _without_seconds(values: Mapping[str, Any]) -> dict[str, Any]:
    """Time has a table of its own."""
    return {name: value for name, value in values.items() if name != "seconds"}


def headline_text(evaluate: Mapping[str, Any]) -> str:
    """The headline metrics, which are summaries.headline's, as a plain table for the terminal."""
    lines = [f"{'':<{_NAME_WIDTH}}{'before':>15}{'after':>15}"]
    before = evaluate["before"]
    for name in TEXTS:
        cells = [
            "" if values is before and name not in values else percent(values[name]) for values in (before, evaluate)
        ]
        lines.append(f"{name.replace('_', ' '):<{_NAME_WIDTH}}{cells[0]:>15}{cells[1]:>15}")
    if (ratio := evaluate.get("perplexity_ratio")) is not None:
        lines.append(f"{'perplexity ratio':<{_NAME_WIDTH}}{'':>15}{ratio:>15.3f}")
    for name in ("score", *KINDS):
        after = interval(evaluate[name], evaluate[f"{name}_ci95"], digits=2)
        lines.append(f"{name:<{_NAME_WIDTH}}{percent(before[name]):>15}{after:>15}")
    return "\n".join([*lines, f"{evaluate['n']:,} edits; percent, the last four with 95 % intervals"])
