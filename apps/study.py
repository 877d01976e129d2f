"""Draw the rows of an experiment file against the number of edits: `python -m apps.study FILE --out FOLDER`.

The rows must have run (`python -m apps.table FILE` runs them); they are read from their DVC experiments. Written are
editing.png, abilities.png, weights.png, points.csv (what is drawn) and study.md (the table). FOLDER should not be in
report/, which stage `report` empties.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import polars as pl

from lib.core.params import ROOT
from lib.core.run import run
from lib.experiments.curves import Outcome, pictures, points, table
from lib.experiments.files import read_experiments
from lib.experiments.runs import fetched

EVALUATE, ABILITIES = "results/evaluate.json", "results/abilities.json"
RETENTION, KL = "results/plots/retention.json", "results/plots/kl.json"
WEIGHTS = "results/train/weights.csv"


def main() -> None:
    options = _options()
    study = read_experiments(options.table)
    seeds = options.seeds or study.seeds
    found = points(
        {
            row: [_outcome(study.run_name(row, seed, options.set_param)) for seed in seeds]
            for row in study.chosen(options.rows)
        }
    )
    options.out.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(found).items():
        (options.out / f"{name}.png").write_bytes(picture)
    found.write_csv(options.out / "points.csv", float_precision=4)
    text = table(found)
    (options.out / "study.md").write_text(f"{text}\n", encoding="utf-8")
    print(text)


def _outcome(experiment: str) -> Outcome:
    """What the run of this name left. Raises FileNotFoundError where it has not run or its files are gone."""
    with fetched(ROOT, experiment, WEIGHTS) as local:
        weights = pl.read_csv(local)
    return Outcome(
        evaluate=_json(experiment, EVALUATE),
        retention=_json(experiment, RETENTION)["rows"],
        kl=_json(experiment, KL)["rows"],
        abilities=_json(experiment, ABILITIES),
        weights=weights,
    )


def _json(experiment: str, path: str) -> Any:
    with fetched(ROOT, experiment, path) as local:
        return json.loads(local.read_text())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="a file of experiments/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures and the tables")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the file's own")
    parser.add_argument("--rows", nargs="+", default=[], help="only these rows")
    parser.add_argument("-S", "--set-param", action="append", default=[], help="as it was given to apps.table")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
