"""`dvc repro` of one stage ended by a signal, and run rerun."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.faults.workspace import Sandbox, differing, environment, small_sandbox

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
DVC = ("mass, lora", "dvc")
"""The key of DVC's row."""
SECONDS = 900
"""Most seconds of a `dvc repro` here."""
LINGER = 10
"""Seconds after which no process of an ended `dvc repro` may be left."""
_POLL = 0.05


def dvc_row(points: int, seed: int) -> dict[str, Any]:
    """The cells of DVC in the table of kills, and its faults: `points` in all, the signals by turns."""
    generator = random.Random(f"{seed} dvc")
    landed, equal, seconds = dict.fromkeys(SIGNALS, 0), 0, 0.0
    faults: list[str] = []
    with small_sandbox() as workspace:
        _init(workspace)
        turns = [SIGNALS[index % len(SIGNALS)] for index in range(points)]
        shares = _by_stage(workspace.stages, points, generator)
        for stage in workspace.stages:
            before = workspace.folder.with_name("before")
            shutil.copytree(workspace.folder, before)
            duration, expected = _undisturbed(workspace, stage)
            seconds += duration
            after = workspace.folder.with_name("after")
            workspace.folder.rename(after)
            for _ in range(shares[stage]):
                number, moment = turns.pop(), duration * generator.random()
                shutil.copytree(before, workspace.folder)
                in_time, fault = _outcome(workspace, stage, number, moment, expected)
                landed[number] += in_time
                equal += not fault
                where = f"{', '.join(DVC)}, repro {stage}, {number.name} after {moment:.1f} s"
                faults += [f"{where}: {fault}"] if fault else []
                shutil.rmtree(workspace.folder)
            shutil.rmtree(before)
            after.rename(workspace.folder)
    tried = [sum(SIGNALS[index % len(SIGNALS)] == number for index in range(points)) for number in SIGNALS]
    cells = [f"{landed[number]}/{count}" for number, count in zip(SIGNALS, tried, strict=True)]
    row = [*DVC, f"{seconds:.0f}", *cells, "-", "all stages'", f"{equal} of {points}"]
    return {"cells": row, "faults": faults}


def _by_stage(stages: list[str], points: int, generator: random.Random) -> dict[str, int]:
    """How many of the points each stage gets: as equal as can be."""
    order = generator.sample(stages, len(stages))
    return {stage: points // len(stages) + (order.index(stage) < points % len(stages)) for stage in stages}


def _init(workspace: Sandbox) -> None:
    command = [sys.executable, "-m", "dvc", "init", "-q", "--no-scm"]
    subprocess.run(command, cwd=workspace.folder, env=environment(), check=True)
    config = "[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n"
    (workspace.folder / ".dvc" / "config").write_text(config)


def _start(workspace: Sandbox, stage: str, log: Path) -> subprocess.Popen[bytes]:
    """`dvc repro` in a group of its own, to which Ctrl-C can be sent, and which heeds it."""
    command = [sys.executable, "-m", "dvc", "repro", stage]
    with log.open("wb") as stream:
        return subprocess.Popen(
            command, cwd=workspace.folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip


def _undisturbed(workspace: Sandbox, stage: str) -> tuple[float, Mapping[str, str]]:
    began, log = time.monotonic(), workspace.folder.with_name("log")
    status = _start(workspace, stage, log).wait(SECONDS)
    assert status == 0, f"{stage}: {log.read_text(errors='replace')}"
    return time.monotonic() - began, workspace.files(stage)


def _outcome(
    workspace: Sandbox, stage: str, number: signal.Signals, moment: float, expected: Mapping[str, str]
) -> tuple[bool, str]:
    """Whether the signal came in time, and what is wrong afterwards; nothing where all is right."""
    log = workspace.folder.with_name("log")
    process = _start(workspace, stage, log)
    with suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    in_time = process.poll() is None
    with suppress(ProcessLookupError):
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
    process.wait(SECONDS)
    faults = [f"{line!r} runs {LINGER} s later" for line in survivors(process.pid)]
    rerun = _start(workspace, stage, log)
    if rerun.wait(SECONDS) != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return in_time, "; ".join([*faults, f"the run after it fails ({' '.join(lines[-3:])})"])
    if difference := differing(expected, workspace.files(stage)):
        faults.append(f"other bytes: {difference}")
    faults += workspace.left_behind()
    return in_time, "; ".join(faults)


def survivors(group: int, seconds: float = LINGER) -> list[str]:
    """The command lines of the group's processes that still run after so many seconds; they are ended.

    One that has ended, and whose parent has not asked for its status yet, does not run: whoever inherits those of an
    ended `dvc`, process 1 as a rule, may take long.
    """
    until = time.monotonic() + seconds
    while running := _running(group):
        if time.monotonic() > until:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            break
        time.sleep(_POLL)
    return running


def _running(group: int) -> list[str]:
    lines: list[str] = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                lines.append(" ".join(process.cmdline()))
    return lines
