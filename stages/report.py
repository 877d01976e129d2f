"""Stage `report`: everything that the other stages measured, on one page, and its plots as pictures of their own.

Nothing is computed here that a number on the page depends on.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.core import params as settings
from lib.core.errors import reading
from lib.core.files import REPRODUCE, read_json, replacing
from lib.core.params import ROOT, presets_in_use
from lib.core.run import run_stage

if TYPE_CHECKING:
    import polars as pl

    from lib.report.page import Results
    from lib.report.pictures import Picture
    from lib.report.training import TrainingSet

PLOTS = ("scores", "relations", "locality_by_similarity", "retention", "kl")
TRAINED = 20
"""Edits of which the page shows what was trained on."""
NOT_OUTPUTS = (".", ":!metrics", ":!report", ":!dvc.lock")
"""What git compares: stages write into these three, so that they always differ from the commit while one runs."""


def main(options: argparse.Namespace) -> None:
    """Read params.yaml and what the stages left; write the page and its pictures."""
    from lib.report.page import page

    results = _results(options)
    options.report.mkdir(parents=True, exist_ok=True)
    for picture in results.pictures:
        if picture.drawing:
            with replacing(options.report / f"{picture.name}.svg") as unfinished:
                unfinished.write_text(picture.drawing.as_file(), encoding="utf-8")
    with replacing(options.report / "index.html") as unfinished:
        unfinished.write_text(page(results), encoding="utf-8")


def _results(options: argparse.Namespace) -> Results:
    """Everything that the page shows."""
    from lib.core import records
    from lib.core.tables import csv_frame, read
    from lib.report.page import Results
    from lib.runtime import machine

    params, stages, weights = settings.read_params(), _stages(options), csv_frame(options.weights)
    evaluated = _evaluated(options.evaluation)
    return Results(
        params=params,
        presets=presets_in_use(params),
        **_checkout(),
        versions=machine.versions(),
        hardware=machine.hardware(),
        metrics=stages,
        **evaluated,
        training=_training(options),
        sources=read_json(options.sources),
        rejects=read(options.rejects, records.Reject),
        weights=weights,
        pictures=_pictures(options, stages.get("abilities", {}), evaluated["details"]["n"], weights),
    )


def _checkout() -> dict[str, Any]:
    """The commit of ROOT, its date, and the files that differ from it, outputs left out."""
    committed = _git("log", "-1", "--format=%cs")
    return {
        "commit": _git("rev-parse", "HEAD") or None,
        "committed": date.fromisoformat(committed) if committed else None,
        "changed": [line[3:] for line in _git("status", "--porcelain", "--", *NOT_OUTPUTS).splitlines()],
    }


def _evaluated(path: Path) -> dict[str, Any]:
    """What stage evaluate found: the headline with its verdict, single edits, the comparison."""
    from lib.metrics import comparison
    from lib.metrics.examples import AnswerExample, Passage
    from lib.metrics.verdict import verdict

    evaluation = read_json(path)
    return {
        "details": evaluation,
        "numbers": evaluation["numbers"],
        "verdict": verdict(evaluation["numbers"]),
        "examples": [AnswerExample(**example) for example in evaluation["examples"]],
        "passages": [Passage(**passage) for passage in evaluation["passages"]],
        "comparison": comparison.from_plain(evaluation["comparison"]),
    }


def _pictures(
    options: argparse.Namespace, abilities: Mapping[str, Any], edits: int, weights: pl.DataFrame
) -> list[Picture]:
    """Of the edits, of abilities and of weights."""
    import polars
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from lib.core.tables import csv_frame
    from lib.metrics.weights import maps_by_edits
    from lib.report import pictures

    rows = {name: read_json(options.plots / f"{name}.json")["rows"] for name in PLOTS}
    with reading(options.maps, "a safetensors file", REPRODUCE, SafetensorError):
        maps = load_file(options.maps)
    loss = csv_frame(options.loss) if options.loss.is_file() else polars.DataFrame()
    return [
        *pictures.edit_pictures(rows, loss),
        *pictures.ability_pictures(abilities, edits),
        *pictures.weight_pictures(weights, maps_by_edits(maps, edits).get(edits, {})),
    ]


def _training(options: argparse.Namespace) -> TrainingSet:
    """What was made to train on, and TRAINED of the edits with theirs."""
    from lib.core.tables import frame
    from lib.report.training import training_set

    requests, paraphrases, neighbors = map(frame, (options.requests, options.paraphrases, options.neighbors))
    return training_set(requests, paraphrases, neighbors, limit=TRAINED)


def _stages(options: argparse.Namespace) -> Mapping[str, Mapping[str, Any]]:
    """By stage, what it left in its metrics file and its file of further results, and the seconds that it took."""
    values: dict[str, dict[str, Any]] = {path.stem: read_json(path) for path in options.metrics}
    for path in [*options.results, *sorted(options.usages.glob("*.json"))]:
        values[path.stem] = values.get(path.stem, {}) | read_json(path)
    return values


def _git(*arguments: str) -> str:
    """The output of a git command, or nothing where there is no git or no commit, or ROOT is no checkout of its own."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.rstrip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="metrics files, in the pipeline's order")
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="further results, by the same names")
    parser.add_argument("--usages", type=Path, required=True, help="folder with the stages' seconds and memory")
    parser.add_argument("--evaluation", type=Path, required=True, help="results/evaluate.json of stage evaluate")
    parser.add_argument("--plots", type=Path, required=True, help="folder that stage evaluate wrote")
    parser.add_argument("--loss", type=Path, required=True, help="loss.csv of stage edit; may be absent")
    parser.add_argument("--weights", type=Path, required=True, help="weights.csv of stage edit")
    parser.add_argument("--maps", type=Path, required=True, help="heat_maps.safetensors of stage edit")
    parser.add_argument("--requests", type=Path, required=True, help="requests.parquet of stage recall")
    parser.add_argument("--paraphrases", type=Path, required=True, help="paraphrases.parquet of stage paraphrase")
    parser.add_argument("--neighbors", type=Path, required=True, help="neighbors.parquet of stage neighbors")
    parser.add_argument("--rejects", type=Path, required=True, help="rejects.parquet of stage facts")
    parser.add_argument("--sources", type=Path, required=True, help="sources.json of stage facts")
    parser.add_argument("--report", type=Path, required=True, help="folder for index.html and the pictures")
    return parser


if __name__ == "__main__":
    run_stage(main, parser())
