"""Stages where there is no network: the same bytes, and no host that is asked for.

python -m bench.faults.network     # the default (params.yaml as it is), after `dvc repro`, at its own size
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.faults import Findings, Trial
from bench.faults.forked import Forked, forked
from bench.faults.variants import each_stage, stages_of_variants, undisturbed
from bench.faults.workspace import Sandbox, copy_code, differing, environment, refusal, small_sandbox
from lib.core.params import ROOT

FETCHING = ("facts", "base", "abilities")
"""The stages that may fetch. Of the fixture they fetch nothing; of the default their results are there."""
PAGE = "report/index.html"
"""It names the commit, which a copy has not."""
ALONE = ("unshare", "-rn")
"""What starts a command where no network is, not even the machine's own."""
TITLE = "Without a network"
COLUMNS = ("settings", "stage", "exit status", "hosts that it asked for", "outputs", "equal in bytes")
TEXT = """\
A stage of the small fixture runs in a namespace without any network (`unshare -rn`; not even the machine's own address
answers), with no variable set that forbids it to fetch. Its outputs are compared with those of a run with the network,
and what it looks up or connects to through Python's sockets is counted. The default at its own size goes the same way
by `python -m bench.faults.network`, after `dvc repro`.
"""
UNREACHED = (
    "The default at its own size: `python -m bench.faults.network` does it, and was not run for this page.",
    "facts, base and abilities where they have something to fetch: of the fixture they have not.",
    "A network that answers slowly, wrongly or in part: tests/lib/data/test_download_faults.py has those.",
)


def measure(trial: Trial) -> Findings:
    """Every stage of the fixture, with and without a network."""
    if refused := refusal(*ALONE[1:]):
        return Findings(title=TITLE, text=TEXT, columns=COLUMNS, rows=(), faults=(), unreached=(
            f"Everything: a namespace without a network could not be made here ({refused}).",
        ))  # fmt: skip
    rows: list[dict[str, Any]] = []
    with (
        small_sandbox() as workspace,
        TemporaryDirectory() as logs,
        forked(workspace, Path(logs) / "log") as connected,
        forked(workspace, Path(logs) / "log-alone", ALONE) as alone,
    ):
        for variant, stage in each_stage(connected):
            if not trial.asks_for(variant, stage):
                continue
            rows.append(trial.once(f"{variant}-{stage}", partial(stage_row, connected, alone, stage, variant)))
    return Findings(
        title=TITLE,
        text=TEXT,
        columns=COLUMNS,
        rows=tuple(tuple(row["cells"]) for row in rows),
        faults=tuple(fault for row in rows for fault in row["faults"]),
        unreached=UNREACHED,
        key=2,
        order=stages_of_variants(),
    )


def stage_row(connected: Forked, alone: Forked, stage: str, variant: str) -> dict[str, Any]:
    """The cells of a stage, and its faults."""
    undisturbed(connected, stage)
    workspace = connected.workspace
    expected = workspace.files(stage)
    workspace.clear(stage)
    ended = alone.run(stage)
    difference = differing(expected, workspace.files(stage)) if ended.status == 0 else "no outputs"
    faults = [] if ended.status == 0 else [f"exit status {ended.status} ({ended.error})"]
    faults += [f"other bytes: {difference}"] if ended.status == 0 and difference else []
    faults += [f"asked for {', '.join(sorted(set(ended.hosts)))}"] if ended.hosts else []
    cells = [
        variant,
        stage,
        str(ended.status),
        str(len(ended.hosts)),
        str(len(expected)),
        "no" if difference else "yes",
    ]
    return {"cells": cells, "faults": [f"{variant}, {stage}: {fault}" for fault in faults]}


def main() -> None:
    """Run the default's stages but FETCHING without a network, on what `dvc repro` has left, and compare."""
    repository = Sandbox(ROOT)
    stages = [stage for stage in repository.stages if stage not in FETCHING]
    with TemporaryDirectory(prefix="errata-offline-") as folder:
        workspace = Sandbox(Path(folder) / "errata")
        copy_code(workspace.folder)
        for stage in repository.stages:
            _copy_outs(repository, workspace, stage)
        differences = {stage: _without_network(workspace, repository, stage) for stage in stages}
    if faults := {stage: difference for stage, difference in differences.items() if difference}:
        sys.exit("; ".join(f"{stage}: {difference}" for stage, difference in faults.items()))
    print(f"{len(stages)} stages ran without a network; all outputs but {PAGE} are equal in bytes")


def _copy_outs(source: Sandbox, target: Sandbox, stage: str) -> None:
    for out in source.outs(stage):
        copy = target.folder / out.relative_to(source.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            shutil.copytree(out, copy, dirs_exist_ok=True)
        elif out.is_file():
            shutil.copyfile(out, copy)


def _copy_usage(source: Sandbox, target: Sandbox) -> None:
    shutil.copytree(source.folder / "metrics/usage", target.folder / "metrics/usage", dirs_exist_ok=True)


def _without_network(workspace: Sandbox, repository: Sandbox, stage: str) -> str:
    """What differs from the repository's outputs, in words; empty where nothing does."""
    workspace.clear(stage)
    _copy_usage(repository, workspace)  # which the page shows
    began = time.monotonic()
    command = [*ALONE, sys.executable, "-m", *workspace.command(stage)]
    variables = environment()
    if "OMP_NUM_THREADS" not in os.environ:
        del variables["OMP_NUM_THREADS"]  # as many threads as `dvc repro` has had
    done = subprocess.run(command, cwd=workspace.folder, env=variables, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        return f"exit status {done.returncode} ({done.stderr.strip().splitlines()[-1:]})"
    with_network, without = (
        {name: content for name, content in files.items() if name != PAGE}
        for files in (repository.files(stage), workspace.files(stage))
    )
    difference = differing(with_network, without)
    print(f"{stage}: {time.monotonic() - began:.0f} s, {difference or 'equal in bytes'}", file=sys.stderr)
    return difference


if __name__ == "__main__":
    main()
