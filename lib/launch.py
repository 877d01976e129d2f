"""How a stage with one constant command runs in several processes: it starts itself anew under torchrun.

The command's text is part of a DVC stage's hash, so the number of processes must not be in it. It comes from
ERRATA_PROCESSES (default: one for each GPU, else one), or a launcher of the user's starts the module itself.
"""

import os
import sys
from collections.abc import Sequence

import torch


def relaunch(module: str, arguments: Sequence[str]) -> None:
    """Become torchrun with as many processes as wanted; return where one is enough or a launcher has started us.

    Raises ValueError where ERRATA_PROCESSES is not a positive number, or more than there are GPUs.
    """
    if "WORLD_SIZE" in os.environ or (wanted := _processes()) == 1:
        return
    threads = max(1, (os.cpu_count() or 1) // wanted)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={wanted}", "-m", module, *arguments]
    os.execv(sys.executable, [sys.executable, *command])


def _processes() -> int:
    gpus = torch.cuda.device_count()
    wanted = os.environ.get("ERRATA_PROCESSES", str(max(1, gpus)))
    if not wanted.isdigit() or int(wanted) < 1 or (gpus and int(wanted) > gpus):
        raise ValueError(f"ERRATA_PROCESSES: wanted a number from 1 to {gpus or 'any'}; found {wanted!r}")
    return int(wanted)
