"""Stage `report`: everything that the other stages measured, on one page, and its plots as pictures of their own.

Nothing is computed here that a number on the page depends on.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.core import params as settings
from lib.core.files import read_json, replacing
from lib.core.params import ROOT, presets_in_use
from lib.core.run import run_stage

if TYPE_CHECKING:
    from lib.report.page import ShownParaphrase

PLOTS = ("scores", "relations", "locality_by_similarity", "retention", "kl")
PARAPHRASES = 10
"""Training paraphrases that the page shows."""
NOT_OUTPUTS = (".", ":!metrics", ":!report", ":!dvc.lock")
"""What git compares: stages write into these three, so that they always differ from the commit while one runs."""


def main(options: argparse.Namespace) -> None:
    """Read params.yaml and what the stages left; write the page and its pictures."""
    import polars as pl
    from safetensors.numpy import load_file

    from lib.core import records
    from lib.core.tables import read
    from lib.metrics import comparison
    from lib.metrics.examples import AnswerExample, Passage
    from lib.metrics.verdict import verdict
    from lib.metrics.weights import maps_by_edits
    from lib.report import page, pictures
    from lib.runtime import machine

    params = settings.read_params()
    evaluation, stages = read_json(options.evaluation), _stages(options)
    rows = {name: read_json(options.plots / f"{name}.json")["rows"] for name in PLOTS}
    weights = pl.read_csv(options.weights)
    maps = maps_by_edits(load_file(options.maps), evaluation["n"])
    loss = pl.read_csv(options.loss) if options.loss.is_file() else pl.DataFrame()
    results = page.Results(
        params=params,
        presets=presets_in_use(params),
        commit=_git("rev-parse", "HEAD") or None,
        changed=[line[3:] for line in _git("status", "--porcelain", "--", *NOT_OUTPUTS).splitlines()],
        versions=machine.versions(),
        hardware=machine.hardware(),
        metrics=stages,
        details=evaluation,
        numbers=evaluation["numbers"],
        verdict=verdict(evaluation["numbers"]),
        paraphrases=_paraphrases(options.requests, options.paraphrases),
        sources=read_json(options.sources),
        rejects=read(options.rejects, records.Reject),
        examples=[AnswerExample(**example) for example in evaluation["examples"]],
        passages=[Passage(**passage) for passage in evaluation["passages"]],
        comparison=comparison.from_plain(evaluation["comparison"]),
        weights=weights,
        pictures={
            "edits": pictures.edit_pictures(rows, loss),
            "abilities": pictures.ability_pictures(stages.get("abilities", {}), evaluation["n"]),
            "weights": pictures.weight_pictures(weights, maps.get(evaluation["n"], {})),
        },
    )
    options.report.mkdir(parents=True, exist_ok=True)
    for section in results.pictures.values():
        for picture in section:
            if picture.drawing:
                with replacing(options.report / f"{picture.name}.svg") as unfinished:
                    unfinished.write_text(picture.drawing.as_file(), encoding="utf-8")
    with replacing(options.report / "index.html") as unfinished:
        unfinished.write_text(page.page(results), encoding="utf-8")


def _paraphrases(requests: Path, paraphrases: Path) -> list[ShownParaphrase]:
    """PARAPHRASES training paraphrases of as many requests, spread evenly over all of them."""
    from lib.core import records
    from lib.core.tables import read
    from lib.report.page import ShownParaphrase

    prompts = {request.request_id: request for request in read(requests, records.Request)}
    first = {row.request_id: row for row in reversed(read(paraphrases, records.Paraphrase))}
    rows = sorted(first.values(), key=lambda row: row.request_id)
    return [
        ShownParaphrase(
            prompt=prompts[row.request_id].prompt,
            target_new=prompts[row.request_id].target_new,
            kind=row.kind,
            text=row.text,
        )
        for row in rows[:: max(1, len(rows) // PARAPHRASES)][:PARAPHRASES]
    ]


def _stages(options: argparse.Namespace) -> Mapping[str, Mapping[str, Any]]:
    """By stage, what it left in its metrics file and its file of further results, and the seconds that it took."""
    values: dict[str, dict[str, Any]] = {path.stem: read_json(path) for path in options.metrics}
    for path in [*options.results, *sorted(options.usages.glob("*.json"))]:
        values[path.stem] = values.get(path.stem, {}) | read_json(path)
    return values


def _git(*arguments: str) -> str:
    """The output of a git command, or nothing where there is no git, no checkout or no commit."""
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
    parser.add_argument("--rejects", type=Path, required=True, help="rejects.parquet of stage facts")
    parser.add_argument("--sources", type=Path, required=True, help="sources.json of stage facts")
    parser.add_argument("--report", type=Path, required=True, help="folder for index.html and the pictures")
    return parser


if __name__ == "__main__":
    run_stage(main, parser())
