"""Stages of a workspace, run in forks of a warm process (bench/faults/forking.py) and stopped where it is asked for."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults.workspace import Sandbox, environment

SECONDS = 300
"""Most seconds of a stage in a workspace; one that takes longer hangs."""
_POLL = 0.001


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Where a signal comes: after `seconds` of the stage's processor time, or before its change number `change`."""

    number: signal.Signals
    seconds: float | None = None
    change: int | None = None

    def __str__(self) -> str:
        """In words."""
        where = f"before change {self.change}" if self.seconds is None else f"after {self.seconds:.3f} s"
        return f"{self.number.name} {where}"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a stage's run ended."""

    status: int
    """Exit status; of one that a signal ended, the signal's number below 0."""
    seconds: float
    """Of the processor's time."""
    changes: int
    """How often it created, opened to write, renamed or removed a file or folder; 0 where it was stopped."""
    hosts: Sequence[str]
    """The hosts that it asked or looked for; none where it was stopped."""
    log: str

    @property
    def error(self) -> str:
        """The last line of the log that is no empty one."""
        return next((line for line in reversed(self.log.splitlines()) if line.strip()), "no message")


@dataclass(frozen=True)
class Forked:
    """The warm process of a workspace."""

    workspace: Sandbox
    process: subprocess.Popen[str]
    log: Path

    def run(self, stage: str, stop: Stop | None = None, learn: bool = False, **variables: str) -> Ended:
        """Run a stage to its end, or until `stop`, with these variables of the environment.

        With `learn` the warm process then imports what the stage has imported. Raises TimeoutError where it hangs.
        """
        process = self.start(stage, stop, learn, **variables)
        if stop is not None and stop.seconds is not None:
            _signal_at(process, stop.number, stop.seconds)
        return self.end(process)

    def start(self, stage: str, stop: Stop | None = None, learn: bool = False, **variables: str) -> int:
        """Begin as `run` does, and return the process's number; `end` must follow."""
        count, modules = self.log.with_suffix(".count"), self.log.with_suffix(".modules")
        for path in (count, modules):
            path.unlink(missing_ok=True)
        module, *arguments = self.workspace.command(stage)
        job = {"module": module, "arguments": arguments, "log": str(self.log), "count": str(count),
               "stop_at": stop.change if stop else None, "signal": int(stop.number) if stop else 0,
               "learn": str(modules) if learn else None, "variables": variables}  # fmt: skip
        self._tell(job)
        return int(self._answer(SECONDS)["process"])

    def end(self, process: int) -> Ended:
        """How the process that was begun ends. Raises TimeoutError where it hangs; it is then ended."""
        try:
            answer = self._answer(SECONDS)
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            self._answer(SECONDS)
            raise
        count = self.log.with_suffix(".count")
        seen = json.loads(count.read_text()) if count.is_file() else {"changes": 0, "hosts": []}
        log = self.log.read_text(errors="replace") if self.log.is_file() else ""
        return Ended(status=answer["status"], seconds=answer["seconds"], log=log, **seen)

    def _tell(self, job: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"no end in {seconds} s")
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def forked(workspace: Sandbox, log: Path, prefix: Sequence[str] = (), warm: bool = True) -> Iterator[Forked]:
    """The process, ended at the end; `log` is outside of the workspace, and `prefix` stands before the command.

    One that is not warm imports nothing before it is asked to learn.
    """
    command = [*prefix, sys.executable, "-m", "bench.faults.forking", *(() if warm else ("--cold",))]
    with subprocess.Popen(
        command, cwd=workspace.folder, env=environment(PYTHONDONTWRITEBYTECODE="1"), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready == "ready\n", f"the warm process said {ready!r}"
        try:
            yield Forked(workspace, process, log)
        finally:
            process.terminate()


def _signal_at(process: int, number: signal.Signals, seconds: float) -> None:
    """Send `number` when the process, which is a child's child, has used so much of the processor; not if it ends."""
    clock = (~process << 3) | 2  # Linux: the processor time of that process
    until = time.monotonic() + SECONDS
    with suppress(OSError):  # it has ended
        while time.clock_gettime(clock) < seconds and time.monotonic() < until:
            time.sleep(_POLL)
        os.kill(process, number)
