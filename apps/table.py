"""Run the rows of a table as DVC experiments and print it: `python -m apps.table experiments/mass.yaml -S ...`.

Every row is run once for each seed, as far as the table needs: up to stage `evaluate`, or to the file's own `stage`. A
run whose name is already an experiment of this commit is not run again. Beside ours stand the published numbers of the
same row, of another model and size.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.core.errors import InputError
from lib.core.params import read_params
from lib.core.run import run
from lib.experiments.files import Experiments, read_experiments
from lib.metrics import published

MEASURES = ("score", "efficacy", "generalization", "locality")
_DVC = [sys.executable, "-m", "dvc"]
Runs = dict[str, list[dict[str, Any]]]


def main() -> None:
    options = _options()
    table = read_experiments(options.table)
    settings = options.set_param
    wanted = {
        row: {
            table.run_name(row, seed, settings): table.changes(row, seed, settings)
            for seed in options.seeds or table.seeds
        }
        for row in table.chosen(options.rows)
    }
    if options.queue:
        _queue({name: changes for runs in wanted.values() for name, changes in runs.items()}, table.stage)
        return
    results: Runs = {row: [_evaluated(*one, table.stage) for one in runs.items()] for row, runs in wanted.items()}
    print(rendered(results, _published(table, settings)))


def _queue(wanted: Mapping[str, list[str]], stage: str) -> None:
    """Put every run that is not there yet into DVC's queue."""
    missing = {name: changes for name, changes in wanted.items() if not _metrics(name)}
    for name, changes in missing.items():
        subprocess.run([*_DVC, "exp", "run", "--queue", "--name", name, *_settings(changes), stage], check=True)
    print(f"{len(missing)} queued; `dvc queue start` runs them, then the same command without --queue prints the table")


def _evaluated(name: str, changes: list[str], stage: str) -> dict[str, Any]:
    """metrics/evaluate.json of the experiment `name`, which is run if there is none of that name.

    Raises InputError where the run fails or leaves no such file.
    """
    if not (found := _metrics(name)):
        # --temp: rows start from the workspace as it is, not from what the row before has left in it.
        command = [*_DVC, "exp", "run", "--temp", "--name", name, *_settings(changes), stage]
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise InputError(
                f"experiment {name} failed; its messages stand above. (It runs in a folder of its own: paths in -S "
                "that lead out of the repository must be absolute.)"
            )
        found = _metrics(name)
    if not found:
        raise InputError(f"experiment {name} left no metrics/evaluate.json; see `dvc exp show`")
    return found


def _settings(changes: Sequence[str]) -> list[str]:
    return [part for change in changes for part in ("-S", change)]


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


def _published(table: Experiments, settings: Sequence[str]) -> published.Table:
    """The published table that is nearest to what is run here."""
    given = dict(one.split("=", 1) for one in [*table.common, *settings])
    params = read_params()
    dataset = given.get("dataset", params["dataset"])
    measure = "accuracy" if dataset in ("zsre", "wikirecent") else "success"
    return published.table(dataset, given.get("protocol.kind", params["protocol"]["kind"]), measure)


def rendered(results: Runs, beside: published.Table) -> str:
    """A Markdown table: each measure's mean with its 95 % interval over edits, over seeds its mean and spread."""
    known = {one.method: one for one in beside.results}
    title = f"published: {beside.dataset}, {beside.model}, {beside.edits} (score / eff. / gen. / loc.)"
    lines = [f"| row | seeds | N | {' | '.join(MEASURES)} | {title} |", f"|---|---|---|{'---|' * len(MEASURES)}---|"]
    for row, found in results.items():
        cells = [_cell(found, measure) for measure in MEASURES]
        paper = known.get(row)
        theirs = " / ".join(str(getattr(paper, measure)) for measure in MEASURES) if paper else "-"
        lines.append(f"| {row} | {len(found)} | {found[0]['n']} | {' | '.join(cells)} | {theirs} |")
    return "\n".join(lines)


def _cell(found: Sequence[Mapping[str, Any]], measure: str) -> str:
    """`mean ± half of the 95 % interval over edits` of one seed; `mean ± standard deviation over seeds` of several."""
    values = [one[measure] for one in found if one[measure] is not None]
    if len(values) < len(found):
        return "not measured"
    spread = statistics.stdev(values) if len(values) > 1 else found[0][f"{measure}_ci95"]
    return f"{statistics.mean(values):.1f} ± {spread:.1f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="a file of experiments/")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the table's own")
    parser.add_argument("--rows", nargs="+", default=[], help="only these rows")
    parser.add_argument("--queue", action="store_true", help="only queue what is missing, for `dvc queue start`")
    parser.add_argument("-S", "--set-param", action="append", default=[], help="for every row, as with dvc exp run")
    return parser.parse_args()


if __name__ == "__main__":
    run(main, with_parent=False)
