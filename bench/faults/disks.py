"""Stages on a full disk and in read-only folders: what they say, and what a run afterwards makes of it.

The disk is a file system in memory of a few MB, mounted in a namespace of the user's (`unshare -rm`), which needs no
rights and leaves the machine as it is.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.faults import Findings, Scale, Trial
from bench.faults.forked import Forked, forked
from bench.faults.variants import each_stage, stages_of_variants, undisturbed
from bench.faults.workspace import Sandbox, differing, environment, refusal
from lib.core.files import read_json, write_json
from lib.core.params import ROOT

POINTS: Mapping[Scale, int] = {"small": 3, "full": 8}
"""Fillings of the disk for each stage."""
SEED = 14
MIB = 2**20
DISK = 512 * MIB
COLUMNS = (
    "settings", "stage", "it writes, KiB", "disk full: refused", "fitted", "outputs' folders read-only",
    "everything read-only", "the message names file and remedy", "afterwards equal in bytes",
)  # fmt: skip
TEXT = """\
A stage of the small fixture runs on a file system in memory with the repository on it, of which a filler leaves a
random number of bytes, from none to 1.2 times what the stage writes, so that it ends at any file and in the middle of
one; then with every folder that its outputs lie in mounted read-only, and with the whole file system so. Where it did
not fit, wanted are exit status 1, no traceback, a message with the file and what to do; then, with space again, the
same command runs and leaves the bytes of a run that nothing has disturbed. A run that fitted must have left them at
once.

Mended while this was built: of JSON, Parquet and text the message on a full disk named no file, and of a copy the
source; an error of tokenizers, or of safetensors where transformers calls it, had no message; unfinished files stayed
and took up space.
"""
UNREACHED = (
    "A full disk under DVC's own cache, and under the folder for temporary files.",
    "A quota, a disk that is full for a moment only, and one that reports errors of the hardware.",
)
_MESSAGE = re.compile(r"^error: (?P<file>\S.*?): (?P<what>the disk is full; .+|the file system is read-only; .+)$")


def measure(trial: Trial) -> Findings:
    """Every stage, in a namespace where mounting is allowed."""
    result = trial.folder / "findings.json"
    command = [
        "unshare",
        "-rm",
        sys.executable,
        "-m",
        "bench.faults.disks",
        trial.scale,
        str(trial.folder),
        str(result),
    ]
    if why := refusal("-rm"):
        return Findings(title=TITLE, text=TEXT, columns=COLUMNS, rows=(), faults=(), unreached=(
            f"Everything: a file system could not be mounted here ({why}).",
        ))  # fmt: skip
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    return Findings(**{name: _tuples(value) for name, value in read_json(result).items()})


TITLE = "A full disk, read-only folders"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def main() -> None:
    """Within the namespace: mount the disk, measure every stage on it, write the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scale", choices=("small", "full"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    options = parser.parse_args()
    trial = Trial(scale=options.scale, folder=options.folder)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="errata-disk-") as folder, mounted(Path(folder) / "disk") as disk:
        workspace = Sandbox.new(disk / "errata")
        with forked(workspace, Path(folder) / "log") as stages:
            for variant, stage in each_stage(stages):
                row = partial(stage_row, stages, disk, stage, variant, trial.scale)
                rows.append(trial.once(f"{variant}-{stage}", row))
    cells, faults = ([row[name] for row in rows] for name in ("cells", "faults"))
    findings = Findings(
        title=TITLE, text=TEXT, columns=COLUMNS, rows=tuple(map(tuple, cells)),
        faults=tuple(fault for of_row in faults for fault in of_row), unreached=UNREACHED,
        key=2, order=stages_of_variants(),
    )  # fmt: skip
    write_json(options.result, asdict(findings))


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """A file system in memory at `folder`."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """Within it, `left` bytes of the disk are free."""
    state = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, state.f_bavail * state.f_frsize - left)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(folders: set[Path]) -> Iterator[None]:
    """Within it, nothing can be written to these folders."""
    ordered = sorted(folders)  # a folder before those in it
    for folder in ordered:
        _mount("--bind", str(folder), str(folder))
        _mount("-o", "remount,bind,ro", str(folder))
    try:
        yield
    finally:
        for folder in reversed(ordered):
            subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def all_read_only(disk: Path) -> Iterator[None]:
    """Within it, nothing can be written to the disk."""
    _mount("-o", "remount,ro", str(disk))
    try:
        yield
    finally:
        _mount("-o", "remount,rw", str(disk))


def stage_row(stages: Forked, disk: Path, stage: str, variant: str, scale: Scale) -> dict[str, Any]:
    """The cells of a stage, and its faults."""
    undisturbed(stages, stage)
    workspace, generator = stages.workspace, random.Random(f"{SEED} {variant} {stage}")
    expected = workspace.files(stage)
    size = sum((workspace.folder / name).stat().st_size for name in expected)
    trials = {f"{left:,} bytes left": partial(filled, disk, left) for left in fillings(size, POINTS[scale], generator)}
    folders = {out.parent for out in workspace.outs(stage)}
    everything = partial(all_read_only, disk)
    locked = {"outputs' folders read-only": everything if workspace.folder in folders else partial(read_only, folders),
              "everything read-only": everything}  # fmt: skip
    outcomes = {name: _outcome(stages, stage, name, fault, expected) for name, fault in (trials | locked).items()}
    refused = sum(outcomes[name]["status"] != 0 for name in trials)
    statuses = ["refused" if outcomes[name]["status"] else "not noticed" for name in locked]
    named = sum(outcome["named"] for outcome in outcomes.values())
    failed = sum(outcome["status"] != 0 for outcome in outcomes.values())
    equal = sum(outcome["equal"] for outcome in outcomes.values())
    cells = [variant, stage, f"{size / 1024:,.0f}", str(refused), str(len(trials) - refused), *statuses,
             f"{named} of {failed}", f"{equal} of {len(outcomes)}"]  # fmt: skip
    faults = [
        f"{variant}, {stage}, {name}: {outcome['fault']}" for name, outcome in outcomes.items() if outcome["fault"]
    ]
    return {"cells": cells, "faults": faults}


def fillings(size: int, points: int, generator: random.Random) -> list[int]:
    """Bytes that are left: none, and random ones up to a fifth more than is written."""
    return sorted(
        {0, *(round(1.2 * size * (index + generator.random()) / (points - 1)) for index in range(points - 1))}
    )


def _outcome(
    stages: Forked, stage: str, name: str, fault: Callable[[], Any], expected: Mapping[str, str]
) -> dict[str, Any]:
    """How a run ended under the fault, whether its message was as wanted, and whether all was right afterwards."""
    workspace = stages.workspace
    workspace.clear(stage)
    try:
        with fault():
            under = stages.run(stage)
            fitted = under.status != 0 or not differing(expected, workspace.files(stage))
        rerun = stages.run(stage)
    except TimeoutError as error:
        return {"status": 1, "named": False, "equal": False, "fault": f"a run hangs ({error})"}
    faults = [] if fitted else ["exit status 0, and other bytes than a run that nothing has disturbed"]
    message = _MESSAGE.match(under.error)
    tops = {out.relative_to(workspace.folder).parts[0] for out in workspace.outs(stage)}
    file = message["file"] if message is not None else ""
    named = under.status == 1 and ("/" in file or file in tops) and "Traceback" not in under.log
    if under.status != 0 and not named:
        faults.append(f"exit status {under.status}, message: {under.error}")
    difference = differing(expected, workspace.files(stage))
    if rerun.status != 0:
        faults.append(f"the run afterwards ends with {rerun.status} ({rerun.error})")
    elif difference:
        faults.append(f"afterwards other bytes: {difference}")
    left = workspace.left_behind()
    faults += left
    equal = rerun.status == 0 and not difference and not left
    return {"status": under.status, "named": named, "equal": equal, "fault": "; ".join(faults)}


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
