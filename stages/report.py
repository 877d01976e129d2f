"""Stage `report`: everything that the other stages measured, on one page, and its plots as pictures of their own."""

import argparse
import subprocess
from pathlib import Path

import polars as pl
from safetensors.numpy import load_file

from lib.core import records
from lib.core.files import read_json
from lib.core.params import ROOT, Scoring, read_params, section
from lib.core.run import run
from lib.core.tables import read
from lib.metrics import consistency, retention, texts
from lib.metrics import scores as metrics
from lib.metrics.comparison import edited_against_unedited
from lib.report import page, pictures
from lib.report.examples import Example, examples, passages
from lib.runtime import machine

PLOTS = ("scores", "relations", "locality_by_similarity", "retention", "kl")
PASSAGES = 6
"""Edits of which the page shows sampled texts."""
NOT_OUTPUTS = (".", ":!metrics", ":!report", ":!dvc.lock")
"""What git compares: stages write into these three, so that they always differ from the commit while one runs."""


def main() -> None:
    """Read params.yaml and what the stages left; write the page and its pictures."""
    options = _options()
    details = read_json(options.plots / "details.json")
    stages = {path.stem: read_json(path) for path in options.metrics}
    generations = retention.last_session(pl.read_parquet(options.generations))
    edits = pl.read_parquet(options.requests)
    scores = retention.last_session(pl.scan_parquet(options.scores))
    rows = {name: read_json(options.plots / f"{name}.json")["rows"] for name in PLOTS}
    weights = pl.read_csv(options.weights)
    loss = pl.read_csv(options.loss) if options.loss.is_file() else pl.DataFrame()
    divergences, frequencies = pl.read_parquet(options.divergences), consistency.read(options.frequencies)
    others = texts.of_run(generations, divergences, edits, frequencies)
    results = page.Results(
        params=read_params(),
        commit=_git("rev-parse", "HEAD") or None,
        changed=[line[3:] for line in _git("status", "--porcelain", "--", *NOT_OUTPUTS).splitlines()],
        versions=machine.versions(),
        hardware=machine.hardware(),
        metrics=stages,
        details=details,
        sources=read_json(options.sources),
        rejects=read(options.rejects, records.Reject),
        examples=_examples(edits, scores, generations, details["headline"]),
        passages=passages(generations, PASSAGES),
        comparison=edited_against_unedited(edits, scores.collect(), others),
        weights=weights,
        pictures={
            "edits": pictures.edit_pictures(rows, loss),
            "abilities": pictures.ability_pictures(stages.get("abilities", {}), details["n"]),
            "weights": pictures.weight_pictures(weights, load_file(options.maps)),
        },
    )
    options.report.mkdir(parents=True, exist_ok=True)
    for picture in (one for some in results.pictures.values() for one in some):
        if picture.png:
            (options.report / f"{picture.name}.png").write_bytes(picture.png)
    (options.report / "index.html").write_text(page.page(results), encoding="utf-8")


def _examples(edits: pl.DataFrame, scores: pl.LazyFrame, generations: pl.DataFrame, measure: str) -> list[Example]:
    """The first edits of which there are continuations, with what the scores of the last session say of them."""
    said = generations.filter(pl.col("kind") == "efficacy")
    first = said["request_id"].unique(maintain_order=True).head(section("score", Scoring).examples)
    shown = pl.col("request_id").is_in(first.implode())
    own = scores.filter(shown)
    took = metrics.took(metrics.per_record(own), measure)
    return examples(edits, said.filter(shown), metrics.efficacy_nll(own), took)


def _git(*arguments: str) -> str:
    """What git says, or nothing where there is no git, no checkout or no commit."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.rstrip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="metrics files, in the pipeline's order")
    parser.add_argument("--plots", type=Path, required=True, help="folder that stage evaluate wrote")
    parser.add_argument("--scores", type=Path, required=True, help="scores.parquet of stage score")
    parser.add_argument("--generations", type=Path, required=True, help="generations.parquet of stage score")
    parser.add_argument("--divergences", type=Path, required=True, help="divergences.parquet of stage score")
    parser.add_argument("--frequencies", type=Path, required=True, help="frequencies.json of stage frequencies")
    parser.add_argument("--loss", type=Path, required=True, help="loss.csv of stage edit; may be absent")
    parser.add_argument("--weights", type=Path, required=True, help="weights.csv of stage edit")
    parser.add_argument("--maps", type=Path, required=True, help="heat_maps.safetensors of stage edit")
    parser.add_argument("--requests", type=Path, required=True, help="requests.parquet of stage facts")
    parser.add_argument("--rejects", type=Path, required=True, help="rejects.parquet of stage facts")
    parser.add_argument("--sources", type=Path, required=True, help="sources.json of stage facts")
    parser.add_argument("--report", type=Path, required=True, help="folder for index.html and the pictures")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
