"""Draw the rows of an experiment file against the number of edits: `python -m apps.study FILE --out FOLDER`.

The rows must have run (`python -m apps.table FILE` runs them); they are read from the DVC experiments of HEAD. Written
are editing.svg, abilities.svg, weights.svg, points.csv (what is drawn), study.md (the table), and of rows with
checkpoints maps.svg and its numbers, maps.safetensors: heat maps of the matrix that is changed most. FOLDER should not
be in report/, which stage `report` empties.
"""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import polars as pl
from safetensors.numpy import load_file, save_file

from lib.core.params import ROOT
from lib.core.run import run
from lib.experiments.curves import Outcome, most_changed, pictures, points, table
from lib.experiments.files import Scale, read_experiments
from lib.experiments.overrides import distinct
from lib.experiments.repository import experiments
from lib.experiments.runs import fetched
from lib.experiments.workspace import Workspace
from lib.metrics.weights import maps_by_edits
from lib.report.plots.maps import change_maps

EVALUATE, ABILITIES = "results/evaluate.json", "results/abilities.json"
RETENTION, KL = "results/plots/retention.json", "results/plots/kl.json"
WEIGHTS, MAPS = "results/train/weights.csv", "results/train/heat_maps.safetensors"


def main() -> None:
    options = _options()
    study, workspace = read_experiments(options.table), Workspace.of(ROOT)
    outcomes = {
        row: [
            _outcome(workspace, workspace.plan(study, row, seed, distinct(options.set_param), options.scale).name)
            for seed in options.seeds or study.seeds
        ]
        for row in study.selected(options.rows, options.scale)
    }
    curves = points(outcomes)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(curves).items():
        (options.out / f"{name}.svg").write_text(picture.as_file(), encoding="utf-8")
    if maps := most_changed(outcomes):
        (options.out / "maps.svg").write_text(change_maps(maps).as_file(), encoding="utf-8")
        save_file(maps, options.out / "maps.safetensors")
    curves.write_csv(options.out / "points.csv", float_precision=4)
    text = table(curves)
    (options.out / "study.md").write_text(f"{text}\n", encoding="utf-8")
    print(text)


def _outcome(workspace: Workspace, name: str) -> Outcome:
    """What HEAD's experiment of this name left.

    Raises FileNotFoundError where HEAD has none, or its files are neither in DVC's cache nor in the remote.
    """
    commits = experiments(workspace.root, name)
    if (commit := commits.get(workspace.commit)) is None:
        elsewhere = "".join(f"; commit {other_commit[:7]} has one" for other_commit in commits)
        raise FileNotFoundError(
            f"experiment {name}: wanted among those of HEAD ({workspace.commit[:7]}); found none{elsewhere}. "
            "`python -m apps.table` with the same file and options runs it"
        )
    with fetched(workspace.root, commit, WEIGHTS) as local:
        weights = pl.read_csv(local)
    with fetched(workspace.root, commit, MAPS) as local:
        maps = load_file(local)
    evaluate = _json(workspace.root, commit, EVALUATE)
    return Outcome(
        evaluate=evaluate,
        retention=_json(workspace.root, commit, RETENTION)["rows"],
        kl=_json(workspace.root, commit, KL)["rows"],
        abilities=_json(workspace.root, commit, ABILITIES),
        weights=weights,
        maps=maps_by_edits(maps, evaluate["n"]),
    )


def _json(root: Path, commit: str, path: str) -> Any:
    with fetched(root, commit, path) as local:
        return json.loads(local.read_text())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="a file of experiments/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures and the tables")
    parser.add_argument("--scale", choices=get_args(Scale), default="paper", help="as it was given to apps.table")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the file's own")
    parser.add_argument("--rows", nargs="+", default=[], help="only these rows")
    parser.add_argument("-S", "--set-param", action="append", default=[], help="as it was given to apps.table")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
