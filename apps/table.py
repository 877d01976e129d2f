"""Run the rows of a table as DVC experiments and print it: `python -m apps.table experiments/rows.yaml -S ...`.

Every row is run once for each seed. A run whose name is already an experiment of this commit is not run again.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lib.stage import run

MEASURES = ("score", "efficacy", "generalization", "locality")


def main() -> None:
    options = _options()
    table = YAML(typ="safe").load(options.table)
    results: dict[str, list[dict[str, Any]]] = {}
    for row, changes in table["rows"].items():
        for seed in options.seeds or table["seeds"]:
            seeded = [f"{param}={seed}" for param in table["seed_params"]]
            changed = [*options.set_param, *changes, *seeded]
            results.setdefault(row, []).append(_evaluated(_name(options.table, row, seed, options.set_param), changed))
    print(_rendered(results))


def _evaluated(name: str, changes: list[str]) -> dict[str, Any]:
    """metrics/evaluate.json of the experiment `name`, which is run if there is none of that name."""
    if not (found := _metrics(name)):
        settings = [part for change in changes for part in ("-S", change)]
        subprocess.run([*_DVC, "exp", "run", "--name", name, *settings], check=True, stdout=sys.stderr)
        found = _metrics(name)
    if not found:
        raise ValueError(f"experiment {name} left no metrics/evaluate.json; see `dvc exp show`")
    return found


def _metrics(name: str) -> dict[str, Any]:
    """The metrics that experiment `name` left, or nothing where there is no such experiment of this commit."""
    listed = subprocess.run([*_DVC, "exp", "list", "--name-only"], check=True, capture_output=True, text=True).stdout
    if name not in listed.split():
        return {}
    refs = subprocess.run(["git", "for-each-ref", "--format=%(refname)", "refs/exps"], capture_output=True, text=True)
    ref = next(one for one in refs.stdout.split() if one.endswith(f"/{name}"))
    shown = subprocess.run(["git", "show", f"{ref}:metrics/evaluate.json"], check=True, capture_output=True, text=True)
    values: dict[str, Any] = json.loads(shown.stdout)
    return values


def _name(table: Path, row: str, seed: int, settings: list[str]) -> str:
    """An experiment's name: table, row, seed and what was set beside, in letters that git allows."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join([table.stem, row, f"s{seed}", *settings]).lower()).strip("-")


def _rendered(results: dict[str, list[dict[str, Any]]]) -> str:
    """A Markdown table: the mean over seeds of every measure, and its spread."""
    lines = [f"| row | seeds | N | {' | '.join(MEASURES)} |", f"|---|---|---|{'---|' * len(MEASURES)}"]
    for row, found in results.items():
        cells = [_mean([one[measure] for one in found]) for measure in MEASURES]
        lines.append(f"| {row} | {len(found)} | {found[0]['n']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(values: list[float | None]) -> str:
    measured = [one for one in values if one is not None]
    if len(measured) < len(values):
        return "not measured"
    spread = f" ± {statistics.stdev(measured):.1f}" if len(measured) > 1 else ""
    return f"{statistics.mean(measured):.1f}{spread}"


_DVC = [sys.executable, "-m", "dvc"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, help="a file of experiments/")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the table's own")
    parser.add_argument("-S", "--set-param", action="append", default=[], help="for every row, as with dvc exp run")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
