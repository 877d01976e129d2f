"""Run the rows of a table as DVC experiments and print it: `python -m apps.table experiments/mass.yaml -S ...`.

Every row starts from the committed params.yaml and presets, whatever an earlier `-S` has left in the workspace, and is
run once for each seed, as far as the table needs: up to stage `evaluate`, or to the file's own `stage`. A run whose
name is already an experiment of the commit at HEAD is not run again; the name carries a hash of all values that the row
runs with. Beside ours stand the published numbers of the same row, of another model and size.
"""

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from lib.core.params import ROOT
from lib.core.run import run
from lib.experiments.files import Experiments, read_experiments
from lib.experiments.overrides import PARAMS
from lib.experiments.repository import committed, experiments
from lib.experiments.workspace import PlannedRun, Workspace
from lib.metrics import published
from lib.metrics.headline import shown
from lib.report.headline import cells, table_title, verdicts

EVALUATE = "metrics/evaluate.json"
PUBLISHED = ("efficacy", "generalization", "locality", "score")
_DVC = [sys.executable, "-m", "dvc"]
_SHORT = 7
"""Digits of a commit in a message."""
_logger = logging.getLogger(__name__)


def main() -> None:
    options = _options()
    table, workspace = read_experiments(options.table), Workspace.of(ROOT)
    seeds = options.seeds or table.seeds
    plans = {
        row: [workspace.plan(table, row, seed, options.set_param) for seed in seeds]
        for row in table.selected(options.rows)
    }
    runs = list(chain.from_iterable(plans.values()))
    differences = "\n".join(workspace.differences(runs))
    _logger.info(differences)
    if options.queue:
        _queue(workspace, runs, table.stage)
        return
    results = {planned.name: _evaluated(workspace, planned, table.stage) for planned in runs}
    measured = {
        row: [metrics for planned in of_seeds if (metrics := results[planned.name])] for row, of_seeds in plans.items()
    }
    print(rendered(measured, _published(workspace, table, options.set_param)))
    if differences:
        print(f"\n{differences}")
    if failed := [name for name, metrics in results.items() if metrics is None]:
        sys.exit(_failure(failed, len(runs)))


def _failure(names: Sequence[str], runs: int) -> str:
    return (
        f"error: {len(names)} of {runs} runs failed, and the table is without them: {', '.join(names)}. Their messages "
        "stand above. (Rows run in a folder of their own: paths in -S that lead to files outside git must be absolute.)"
    )


def _queue(workspace: Workspace, runs: Sequence[PlannedRun], stage: str) -> None:
    """Put every run that is not there yet into DVC's queue."""
    missing = [planned for planned in runs if not _metrics(workspace, planned.name)]
    for planned in missing:
        command = [*_DVC, "exp", "run", "--queue", "--name", planned.name, *_settings(planned.changes), stage]
        subprocess.run(command, cwd=workspace.root, check=True)
    print(f"{len(missing)} queued; `dvc queue start` runs them, then the same command without --queue prints the table")


def _evaluated(workspace: Workspace, planned: PlannedRun, stage: str) -> dict[str, Any] | None:
    """metrics/evaluate.json of this run, which is made if HEAD has none of its name; None where it fails."""
    if metrics := _metrics(workspace, planned.name):
        return metrics
    for commit in experiments(workspace.root, planned.name):
        _logger.info("%s: only commit %s has it, HEAD has not; it is run", planned.name, commit[:_SHORT])
    # --temp: in a folder of its own, so that nothing is left in the workspace.
    command = [*_DVC, "exp", "run", "--temp", "--name", planned.name, *_settings(planned.changes), stage]
    code = subprocess.run(command, cwd=workspace.root, stdout=sys.stderr).returncode
    metrics = _metrics(workspace, planned.name)
    if code or not metrics:
        reason = f"`dvc exp run` ended with status {code}" if code else f"it left no {EVALUATE}"
        _logger.error("%s failed: %s", planned.name, reason)
        return None
    return metrics


def _settings(changes: Sequence[str]) -> list[str]:
    return [part for change in changes for part in ("-S", change)]


def _metrics(workspace: Workspace, name: str) -> dict[str, Any] | None:
    """The metrics that HEAD's experiment of this name left; None where HEAD has none, or it left no metrics."""
    commit = experiments(workspace.root, name).get(workspace.commit)
    text = committed(workspace.root, EVALUATE, commit) if commit else None
    return None if text is None else dict(json.loads(text))


def _published(workspace: Workspace, table: Experiments, settings: Sequence[str]) -> published.Table:
    """The published table that is nearest to what is run here."""
    values = workspace.resolved([*table.common, *settings])
    dataset = values[PARAMS]["dataset"]
    measure = values[f"configs/datasets/{dataset}.yaml"]["metric"]
    return published.table(dataset, values[PARAMS]["protocol"]["kind"], measure)


def rendered(results: Mapping[str, Sequence[Mapping[str, Any]]], beside: published.Table) -> str:
    """A Markdown table: for each row the verdict and the headline, over seeds their mean and spread.

    Args:
        results: For each row the metrics of every seed that ran; a row without any has failed.
        beside: Published results, which are teacher-forced, in the last column.
    """
    papers = {result.method: result for result in beside.results}
    title = f"published, teacher-forced: {beside.dataset}, {beside.model}, {beside.edits} (eff. / gen. / loc. / score)"
    columns = shown(chain.from_iterable(results.values()))
    lines = [
        f"| row | seeds | N | verdict | {' | '.join(map(table_title, columns))} | {title} |",
        f"|---|---|---|---|{'---|' * len(columns)}---|",
    ]
    for row, metrics in results.items():
        paper = papers.get(row)
        published_cell = " / ".join(str(getattr(paper, measure)) for measure in PUBLISHED) if paper else "-"
        edits = metrics[0]["n"] if metrics else "-"
        numbers = [verdicts(metrics), *cells(metrics, columns)] if metrics else ["failed"] * (1 + len(columns))
        lines.append(f"| {row} | {len(metrics)} | {edits} | {' | '.join(numbers)} | {published_cell} |")
    return "\n".join(lines)


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
