"""How a stage with one constant command runs in several processes: it starts itself anew under torchrun.

The command's text is part of a DVC stage's hash, so the number of processes must not be in it. It comes from
ERRATA_PROCESSES (default: one for each GPU, else one), or a launcher of the user's starts the module itself.
"""

import os
import sys
from collections.abc import Sequence

from lib.core.errors import InputError


def relaunch(module: str, arguments: Sequence[str], gpus_each: int = 1) -> None:
    """Become torchrun with as many processes as wanted; return where one is enough or a launcher has started us.

    Raises InputError where ERRATA_PROCESSES is not a positive number, or more than there are GPUs for, at `gpus_each`.
    """
    if launched() or (count := _processes(gpus_each)) == 1:
        return
    threads = max(1, (os.cpu_count() or 1) // count)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "-m", module, *arguments]
    os.execv(sys.executable, [sys.executable, *command])


def launched() -> bool:
    """Whether this process is one of those that a launcher started."""
    return "WORLD_SIZE" in os.environ


def _processes(gpus_each: int) -> int:
    gpus = _gpus()
    most = gpus // gpus_each
    if gpus and not most:
        raise InputError(f"a process needs {gpus_each} GPUs here (para.tensor_parallel); found {gpus}")
    setting = os.environ.get("ERRATA_PROCESSES", str(max(1, most)))
    if not setting.isdigit() or int(setting) < 1 or (gpus and int(setting) > most):
        raise InputError(f"ERRATA_PROCESSES: wanted a number from 1 to {most or 'any'}; found {setting!r}")
    return int(setting)


def take_own_gpus(gpus_each: int) -> None:
    """Leave visible to this process only its own GPUs of the machine's: for work that processes do not do together.

    To be called before anything has used a GPU.
    """
    if "LOCAL_RANK" not in os.environ or not (gpus := _gpus()):
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
    first = int(os.environ["LOCAL_RANK"]) * gpus_each
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible[first : first + gpus_each])


def _gpus() -> int:
    """How many GPUs this process sees."""
    import torch  # here: a stage that does nothing in several processes need not wait for it

    return torch.cuda.device_count()
