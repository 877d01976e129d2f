"""Stages and DVC ended by a signal at random points, then run again: is what they leave the same to the byte?

Of a stage its own command runs again, so that DVC restores nothing; of DVC, neither lock nor cache has the stage.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from tempfile import TemporaryDirectory
from typing import Any

from bench.faults import SEED, Findings, Scale, Trial
from bench.faults.dvc_kills import DVC, dvc_row
from bench.faults.forked import Ended, Forked, Stop, forked
from bench.faults.variants import each_stage, stages_of_variants, undisturbed
from bench.faults.workspace import differing, small_sandbox

SIGNALS = (SIGKILL, SIGTERM, SIGINT)
POINTS: Mapping[Scale, int] = {"small": 3, "full": 20}
"""Random points of each stage, the signals by turns."""
CHANGES: Mapping[Scale, int] = {"small": 3, "full": 5}
"""Changes of files, of each stage, before which SIGKILL comes."""
DVC_POINTS: Mapping[Scale, int] = {"small": 3, "full": 20}
COLUMNS = (
    "settings", "stage", "its work, s", "SIGKILL", "SIGTERM", "SIGINT", "SIGKILL before a change of a file",
    "outputs", "recomputed equal in bytes",
)  # fmt: skip
TEXT = """\
A stage of the small fixture (dataset world, model tiny, sizes cut) is ended by a signal at random points, spread by a
seeded generator over the processor time that its work takes, imports left out; and by SIGKILL right before random ones
of the times that Python creates, opens to write, renames or removes a file or folder of it (first and last among
them). Its outputs were removed before, as DVC does it, and are left as the signal leaves them. Then the same command
runs to its end, on whatever checkpoints are there. `6/7` says that 6 of 7 signals came before the stage's end, the
others after its last instruction. The last column counts the runs after a signal whose outputs, all but the seconds
and memory that it used, are equal in bytes to those of a run that nothing has disturbed; a file more or less, or one
that is left unfinished, counts as different.

`dvc` is `dvc repro <stage>` of random stages whose outputs neither dvc.lock nor DVC's cache has, ended at random
points of its whole duration (SIGINT goes to all its processes, as Ctrl-C does; the others to DVC alone), then run
again; of each, no process may be left ten seconds later.

Found so, and mended: a sequential edit that went on from a stored session had lost the steps of the training curve
before it; a kill in the midst of removing finished work left a part of it, on which the next run built (fewer rows in
the table of weights); single edits that share passes were made again in another company, with other last bits; a kill
while safetensors wrote left its file of a random name in an output's folder for good; Ctrl-C ended a stage with a
traceback; one that came while a tokenizer's pattern was torn down was reported and dropped, and the stage went on:
where a row of commit 474646aa0 says that few SIGINT came in time, that is why; one after a stage's last instruction
ended with the traceback of another package's exit function.

A SIGINT that comes before the stage's own code begins waits for that here. Without this program, Ctrl-C in the 0.2 to
0.7 seconds in which Python starts and reads the stage's module ends with Python's own traceback, and nothing written.
"""


def measure(trial: Trial) -> Findings:
    """Every stage under every settings, then DVC."""
    rows: list[dict[str, Any]] = []
    with small_sandbox() as workspace, TemporaryDirectory() as logs, forked(workspace, Path(logs) / "log") as stages:
        for variant, stage in each_stage(stages):
            if not trial.asks_for(variant, stage):
                continue
            row = partial(stage_row, stages, stage, variant, trial.scale)
            rows.append(trial.once(f"{variant}-{stage}", row))
    if trial.asks_for(*DVC):
        points = trial.cases or DVC_POINTS[trial.scale]
        rows.append(trial.once(f"dvc-{points}", partial(dvc_row, points, SEED)))
    return Findings(
        title="Killed at any point",
        text=TEXT,
        columns=COLUMNS,
        rows=tuple(tuple(row["cells"]) for row in rows),
        faults=tuple(fault for row in rows for fault in row["faults"]),
        unreached=UNREACHED,
        key=2,
        order=(*stages_of_variants(), DVC),
    )


UNREACHED = (
    "A machine that loses power: what the operating system has not yet written is then lost, which no signal does. "
    "Every file and folder is synced before it gets its name (lib/core/files.py).",
    "Kills during the imports of a stage's command were made through DVC alone.",
    "Sizes above the fixture's; a GPU; vLLM and Ray as writers; stages facts, base and abilities while they fetch.",
)


def stage_row(stages: Forked, stage: str, variant: str, scale: Scale) -> dict[str, Any]:
    """The cells of a stage, and its faults."""
    reference = undisturbed(stages, stage)
    expected = stages.workspace.files(stage)
    generator = random.Random(f"{SEED} {variant} {stage}")
    cells, faults, equal, tried = [], [], 0, 0
    for stops in stops_of(reference, POINTS[scale], CHANGES[scale], generator):
        outcomes = [_outcome(stages, stage, stop, expected) for stop in stops]
        cells.append(f"{sum(landed for landed, _ in outcomes)}/{len(stops)}")
        pairs = zip(stops, outcomes, strict=True)
        faults += [f"{variant}, {stage}, {stop}: {fault}" for stop, (_, fault) in pairs if fault]
        equal += sum(not fault for _, fault in outcomes)
        tried += len(stops)
    row = [variant, stage, f"{reference.seconds:.2f}", *cells, str(len(expected)), f"{equal} of {tried}"]
    return {"cells": row, "faults": faults}


def stops_of(reference: Ended, points: int, changes: int, generator: random.Random) -> list[list[Stop]]:
    """By column where the signals come, in a run as long as the undisturbed one: a random time in each of `points`
    equal parts of it, and before its first, its last and random other changes of files."""
    seconds = [reference.seconds * (index + generator.random()) / points for index in range(points)]
    timed = [Stop(number=SIGNALS[index % len(SIGNALS)], seconds=moment) for index, moment in enumerate(seconds)]
    inner = range(2, reference.changes)
    before = sorted({1, reference.changes, *generator.sample(inner, min(changes - 2, len(inner)))})
    by_signal = [[stop for stop in timed if stop.number == number] for number in SIGNALS]
    return [*by_signal, [Stop(number=SIGKILL, change=change) for change in before]]


def _outcome(stages: Forked, stage: str, stop: Stop, expected: Mapping[str, str]) -> tuple[bool, str]:
    """Whether the signal came in time, and what is wrong after a second run; nothing where all is right."""
    workspace = stages.workspace
    workspace.clear(stage)
    try:
        stopped = stages.run(stage, stop)
        rerun = stages.run(stage)
    except TimeoutError as error:
        return True, f"a run hangs ({error})"
    faults = []
    if stopped.status != 0 and "Traceback" in stopped.log:
        faults.append(f"a traceback ({stopped.error})")
    if rerun.status != 0:
        faults.append(f"the run after it ends with {rerun.status} ({rerun.error})")
    elif difference := differing(expected, workspace.files(stage)):
        faults.append(f"other bytes: {difference}")
    faults += workspace.left_behind()
    return stopped.status != 0, "; ".join(faults)
