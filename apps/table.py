"""Run the rows of a table as DVC experiments and print it: `python -m apps.table experiments/ft/table2-zsre.yaml`.

Every row starts from the committed params.yaml and presets, whatever an earlier `-S` has left in the workspace, and is
run once for each seed, as far as the table needs: up to stage `evaluate`, or to the file's own `stage`. A run whose
name is already an experiment of the commit at HEAD is not run again; the name carries a hash of all values that the row
runs with. Beside ours stand the published numbers of the same row. `--dry-run` runs nothing: it prints the rows with
what they need; `--scale small` runs them as far as a CPU takes them. `--csv docs/leaderboard.csv` adds the rows to the
leaderboard, and renews its page and its tables.
"""

import argparse
import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from apps.leaderboard import renew
from lib.core.params import ROOT
from lib.core.run import run
from lib.experiments import ability_rows, board, dry_run, outputs, weight_rows
from lib.experiments.files import Experiments, Scale, read_experiments
from lib.experiments.overrides import PARAMS, distinct
from lib.experiments.repository import committed, experiments
from lib.experiments.workspace import PlannedRun, Workspace
from lib.metrics import published
from lib.metrics.headline import Column
from lib.report import leaderboard
from lib.report.headline import cells, table_columns, table_title, verdicts

EVALUATE = "metrics/evaluate.json"
DETAILS = "results/evaluate.json"
USAGE = "metrics/usage/{stage}.json"
TEXT_COLUMNS = tuple(
    Column(name=name, title=name, unit="percent", kind="generation", measure=name, has_before=True)
    for name in ("fluency", "consistency")
)
"""Of sampled texts, times 100: in a table whose rows sample them."""
_WITH_ABILITIES = ("abilities", "report")
"""Stages up to which a row runs the tasks of abilities.tasks too."""
_DVC = [sys.executable, "-m", "dvc"]
_SHORT = 7
"""Digits of a commit in a message."""
_logger = logging.getLogger(__name__)
Results = Mapping[str, dict[str, Any] | None]
"""By the names of runs the values of their metrics/evaluate.json; None: it failed."""


def main() -> None:
    options = _options()
    table, workspace = read_experiments(options.table), Workspace.of(ROOT)
    seeds = options.seeds or table.seeds
    rows, settings = table.selected(options.rows, options.scale), _settings_of(options)
    if options.dry_run:
        print("\n".join(_dry_run(workspace, table, rows, seeds, settings, options)))
        return
    plans = {row: [workspace.plan(table, row, seed, settings, options.scale) for seed in seeds] for row in rows}
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
    abilities = outputs.abilities(workspace, plans) if table.stage in _WITH_ABILITIES else {}
    if table.show == "weights":
        print(weight_rows.table(outputs.weights(workspace, plans), published.named(table.published or "weights")))
    else:
        print(rendered(measured, _published(workspace, table, settings)))
        if tasks := ability_rows.table(abilities):
            print(f"\n{tasks}")
    if options.scale == "small":
        print(f"\n{models_of(runs)}")
    if options.csv is not None:
        by_seed = {row: dict(zip(seeds, runs, strict=True)) for row, runs in plans.items()}
        _add(workspace, options, by_seed, results, abilities)
    if differences:
        print(f"\n{differences}")
    if failed := [name for name, metrics in results.items() if metrics is None]:
        sys.exit(_failure(failed, len(runs)))


def models_of(runs: Sequence[PlannedRun]) -> str:
    """What the rows of a small scale ran on, whose names are those of the paper's rows."""
    models = sorted({str(planned.values[PARAMS]["model"]) for planned in runs})
    return f"--scale small: all rows ran on {', '.join(models)}, whatever model the paper's name of a row says."


def _settings_of(options: argparse.Namespace) -> list[str]:
    """What `-S` gave, and where --model-folder says that the model lies."""
    settings = distinct(options.set_param)
    if options.model_folder is None:
        return settings
    model, folder = options.model_folder
    preset = f"configs/models/{model}.yaml"
    return [*settings, f"{preset}:source=folder", f"{preset}:name={Path(folder).resolve()}"]


def _dry_run(
    workspace: Workspace,
    table: Experiments,
    rows: Sequence[str],
    seeds: Sequence[int],
    settings: Sequence[str],
    options: argparse.Namespace,
) -> list[str]:
    """The rows with what they would do and need; nothing is run, fetched or asked of a GPU."""
    device = None if options.scale == "small" else dry_run.DEVICES[options.device]
    previews = {
        row: dry_run.preview(
            workspace.resolved(table.changes(row, seeds[0], settings, options.scale)), table.stage, device
        )
        for row in rows
    }
    head = f"{table.name}: {len(rows)} rows, each with seeds {', '.join(map(str, seeds))}, up to stage {table.stage}"
    left_out = [row for row in table.rows if row not in rows and not options.rows]
    changes = {row: [*table.rows[row], *(table.small.get(row, ()) if options.scale == "small" else ())] for row in rows}
    return [head, "", *dry_run.lines(previews, changes, left_out)]


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
        return metrics | _from_details(workspace, planned)
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
    return metrics | _from_details(workspace, planned)


def _from_details(workspace: Workspace, planned: PlannedRun) -> dict[str, Any]:
    """Fluency and consistency of a run that samples texts, and the retention of a sequential one; else nothing."""
    params = planned.values[PARAMS]
    samples = params["score"].get("generations", {}).get("limit", 0) != 0
    is_sequential = params["protocol"]["kind"] == "sequential"
    if not (samples or is_sequential) or (content := outputs.content(workspace, planned.name, DETAILS)) is None:
        return {}
    details = json.loads(content)
    measured = details["after"].get("generation", {}) if samples else {}
    summaries = {column.name: summary for column in TEXT_COLUMNS if (summary := measured.get(column.name))}
    values = {name: summary["mean"] for name, summary in summaries.items()}
    values |= {f"{name}_ci95": summary["ci95"] for name, summary in summaries.items()}
    return values | ({"retention": details.get("retention", {})} if is_sequential else {})


def _add(
    workspace: Workspace,
    options: argparse.Namespace,
    plans: Mapping[str, Mapping[int, PlannedRun]],
    results: Results,
    abilities: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Write the rows that ran into the leaderboard, over those of the same name, and renew its page and tables."""
    entries = []
    for row, by_seed in plans.items():
        runs = {seed: metrics for seed, planned in by_seed.items() if (metrics := results[planned.name])}
        values = next(iter(by_seed.values())).values
        is_single = values[PARAMS]["protocol"]["kind"] == "single"  # such edits are made and dropped in stage `score`
        stage = "score" if is_single else "edit"
        usages = [usage for seed in runs if (usage := _usage(workspace, by_seed[seed].name, stage))]
        changed = ", changed" if workspace.uncommitted_code(values) else ""
        if runs:
            commit, command = workspace.commit[:_SHORT] + changed, _command(options, row)
            tasks = abilities.get(row, ())
            entries.append(board.entry(row, values[PARAMS], runs, usages, tasks, commit=commit, command=command))
    renew(options.csv, leaderboard.merged(leaderboard.read(options.csv), entries))


def _usage(workspace: Workspace, name: str, stage: str) -> dict[str, float]:
    """Seconds and memory of this stage of a run; nothing where it left none."""
    try:
        content = outputs.content(workspace, name, USAGE.format(stage=stage))
    except FileNotFoundError:
        return {}
    return {} if content is None else dict(json.loads(content))


def _command(options: argparse.Namespace, row: str) -> str:
    """What runs this row of the table again."""
    words = ["python", "-m", "apps.table", str(options.table), "--rows", row]
    words += ["--seeds", *map(str, options.seeds)] if options.seeds else []
    words += ["--scale", options.scale] if options.scale != "paper" else []
    words += ["--model-folder", options.model_folder[0], "FOLDER"] if options.model_folder else []
    return shlex.join([*words, *(word for change in options.set_param for word in ("-S", change))])


def _settings(changes: Sequence[str]) -> list[str]:
    return [part for change in changes for part in ("-S", change)]


def _metrics(workspace: Workspace, name: str) -> dict[str, Any] | None:
    """The metrics that HEAD's experiment of this name left; None where HEAD has none, or it left no metrics."""
    commit = experiments(workspace.root, name).get(workspace.commit)
    text = committed(workspace.root, EVALUATE, commit) if commit else None
    return None if text is None else dict(json.loads(text))


def _published(workspace: Workspace, table: Experiments, settings: Sequence[str]) -> published.Beside | None:
    """The published values that the file names, or those nearest to what is run; None where there are none."""
    if table.published:
        return published.named(table.published)
    values = workspace.resolved([*table.common, *settings])
    dataset, protocol = values[PARAMS]["dataset"], values[PARAMS]["protocol"]["kind"]
    measure = values[f"configs/datasets/{dataset}.yaml"]["metric"]
    nearest = published.table(dataset, protocol, measure)
    return None if nearest is None else published.beside(nearest)


def rendered(results: Mapping[str, Sequence[Mapping[str, Any]]], beside: published.Beside | None) -> str:
    """A Markdown table: for each row the verdict and the headline, over seeds their mean and spread.

    Args:
        results: For each row the metrics of every seed that ran; a row without any has failed.
        beside: Published results, which are teacher-forced, in the last column, where they have one of these rows.
    """
    runs = [*chain.from_iterable(results.values())]
    columns = (*table_columns(runs), *(column for column in TEXT_COLUMNS if any(column.name in run for run in runs)))
    comparable = beside if beside and beside.values.keys() & results.keys() else None
    head = ["row", "seeds", "N", "verdict", *map(table_title, columns)]
    if comparable:
        head.append(f"published, teacher-forced: {comparable.title} ({' / '.join(comparable.measures)})")
    body = []
    for row, metrics in results.items():
        edits = str(metrics[0]["n"]) if metrics else "-"
        numbers = [verdicts(metrics), *cells(metrics, columns)] if metrics else ["failed"] * (1 + len(columns))
        last = [" / ".join(map(str, comparable.values.get(row, ("-",))))] if comparable else []
        body.append([row, str(len(metrics)), edits, *numbers, *last])
    lines = [f"| {' | '.join(line)} |" for line in (head, *body)]
    lines.insert(1, f"|{'---|' * len(head)}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="a file of experiments/")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the table's own")
    parser.add_argument("--rows", nargs="+", default=[], help="only these rows")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the rows there, and the page beside it")
    parser.add_argument("--queue", action="store_true", help="only queue what is missing, for `dvc queue start`")
    parser.add_argument("--dry-run", action="store_true", help="run nothing: print what the rows would do and need")
    parser.add_argument("--scale", choices=get_args(Scale), default="paper", help="small: what a CPU takes in hours")
    parser.add_argument("--device", choices=list(dry_run.DEVICES), default="h100", help="of --dry-run's hours")
    parser.add_argument(
        "--model-folder", nargs=2, metavar=("PRESET", "FOLDER"), help="a model's own copy in place of the hub's"
    )
    parser.add_argument("-S", "--set-param", action="append", default=[], help="for every row, as with dvc exp run")
    return parser.parse_args()


if __name__ == "__main__":
    run(main, with_parent=False)
