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
    """Have SIGTERM sent to this process when its parent dies; where that is the shell of a stage, the shell's parent.

    `dvc` starts a stage's command with the shell that SHELL names. Bash becomes the command; the one that runs where
    SHELL is not set, as in a container or under cron, stays as its parent, and outlives `dvc`.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    shell = os.getppid()
    if os.environ.get("DVC_STAGE") and _is_started_by_dvc(shell):
        threading.Thread(target=_end_with, args=(shell,), name="errata parents", daemon=True).start()


def _is_started_by_dvc(process: int) -> bool:
    try:
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(variable.startswith(_STAGE) for variable in variables)


def _end_with(shell: int) -> None:
    """Send this process SIGTERM once the parent of its parent is another one than now, as when the former has died."""
    dvc = _parent_of(shell)
    while _parent_of(shell) == dvc:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def _parent_of(process: int) -> int | None:
    """The parent's number; None where there is no such process any more."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1])
