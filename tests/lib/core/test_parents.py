"""A stage ends when `dvc` dies, whichever shell it was started with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.faults.dvc_kills import survivors
from tests.helpers.imports import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
STAGE = "import time; from lib.core.run import run; run(lambda: (print('began', flush=True), time.sleep(600)))"
LAUNCHER = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', os.environ['STAGE']])"
COMMANDS = {
    "becomes the stage": 'exec python -c "$STAGE"',
    "stays above it": 'python -c "$STAGE"; true',
    "stays above its launcher": 'python -c "$LAUNCHER"; true',
}
"""What a shell runs, by what the shell does then."""


def in_shell(command: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    """A process in a group of its own that starts the command as `dvc` does, and waits for it."""
    start = f"import subprocess; subprocess.run(['/bin/sh', '-c', {command!r}], env={environment!r})"
    return subprocess.Popen(
        [sys.executable, "-c", start], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.parametrize("shell", COMMANDS)
def test_a_stage_ends_when_the_process_dies_that_started_its_shell(shell: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {**os.environ, "PATH": path, "STAGE": STAGE, "LAUNCHER": LAUNCHER, "DVC_STAGE": "edit"}
    with in_shell(COMMANDS[shell], variables) as dvc:
        assert dvc.stdout is not None
        assert dvc.stdout.readline() == "began\n"
        dvc.kill()
        dvc.wait()
        assert survivors(dvc.pid) == []
