"""On Linux, a stage ends when `dvc` dies, which `dvc` itself does not see to."""

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_SECONDS_BETWEEN_LOOKS = 0.5
_STAGE = b"DVC_STAGE="
"""How the variable begins in which `dvc` names the stage to what it starts."""


def end_with_parent() -> None:
    """Have SIGTERM sent to this process when its parent dies, or `dvc` above it, if that has started it.

    `dvc` starts a stage's command with the shell that SHELL names. Bash becomes the command; the one that runs where
    SHELL is not set, as in a container or under cron, stays as its parent, and outlives `dvc`. So does the launcher of
    several processes.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if (command := _stage_command()) is not None:
        dvc = _parent_of(command)  # now, since it may die before the thread looks
        threading.Thread(target=_end_with, args=(command, dvc), name="errata parents", daemon=True).start()


def _stage_command() -> int | None:
    """The outermost process above this one that `dvc` has started; None where there is none between."""
    process: int | None = os.getppid()
    outermost = None
    while process and _is_started_by_dvc(process):
        process, outermost = _parent_of(process), process
    return outermost


def _is_started_by_dvc(process: int) -> bool:
    try:
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(variable.startswith(_STAGE) for variable in variables)


def _end_with(command: int, dvc: int | None) -> None:
    """Send this process SIGTERM once the parent of `command` is another one than `dvc`, as when that has died."""
    while _parent_of(command) == dvc:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def _parent_of(process: int) -> int | None:
    """The parent's number; None where there is no such process any more."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1])
