"""Which stages run beside which others, and when: on a CPU with a core for each, and memory for both.

Training neither reads what stage `baseline` writes nor writes what it reads, and so it is with `score` and `abilities`.
On GPUs a stage has all of them (docs/several-gpus.md), so nothing runs beside it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.core.params import PARAMS_FILE, Model, check, read_params, with_recipe_file
from lib.runtime.machine import cores

_NEED_SCORES = ("score", "evaluate", "report")
"""The targets for which the unedited model's scores are needed."""
_GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")
"""In /dev, of the drivers of NVIDIA, of AMD, and of Windows for its Linux."""
_NO_GPUS = ("", "-1")
"""Values of CUDA_VISIBLE_DEVICES with which no GPU is used, though there be some."""
_CORES = range(2, 9)
"""Each stage keeps all its threads, on whose number the last bits depend. With many cores two stages would but get in
each other's way; that is not measured."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One `dvc repro`, and the stage that runs beside it."""

    targets: Sequence[str]
    side: str | None = None
    """The stage that a second `dvc repro` runs."""
    beside: str | None = None
    """The stage with which it begins, when all that it reads is there."""


_PHASES = (
    Phase(targets=("edit", "frequencies"), side="baseline", beside="edit"),
    Phase(targets=("evaluate",), side="abilities", beside="score"),
)


def phases(names: Sequence[str], side_by_side: bool) -> list[Phase]:
    """What is run one after another to make the last of these stages.

    A stage that has run beside another is unchanged for the phases after it; one that has failed there runs in them.

    Args:
        names: the stages of dvc.yaml, in its order, up to the target.
    """
    target = names[-1]
    first = _PHASES if side_by_side and target in _NEED_SCORES else ()
    return [
        *(
            Phase(targets=[name for name in phase.targets if name in names], side=phase.side, beside=phase.beside)
            for phase in first
            if {phase.side, phase.beside} <= {*names}
        ),
        Phase(targets=[target]),
    ]


def has_cores_for_two() -> bool:
    """Whether stages run on the CPU here, in one process each, and there is a core for a second one, but few more."""
    processes = os.environ.get("ERRATA_PROCESSES", "1")
    return cores() in _CORES and processes == "1" and "WORLD_SIZE" not in os.environ and not has_gpu()


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether there is a GPU that stages may use; torch, which takes seconds to load, is not asked."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in _NO_GPUS:
        return False
    return any(True for pattern in _GPU_FILES for _ in devices.glob(pattern))


def has_memory_for_two(workspace: Path) -> bool:
    """Whether twice the memory is free that the largest stage needs with the workspace's model, which is there."""
    import torch  # here: it takes seconds, and a run that finds nothing to do never asks

    from lib.handover.estimates import memory_available_gib, memory_gib, model_shape

    name = read_params(workspace / PARAMS_FILE.name)["model"]
    file = f"configs/models/{name}.yaml"
    preset = check(with_recipe_file(read_params(workspace / file)), Model, file)
    cpu = torch.device("cpu")
    return memory_available_gib(cpu) >= 2 * memory_gib(model_shape(workspace / "models" / "base", preset), cpu)
