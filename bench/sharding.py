"""What a model takes of memory and time in two processes: whole in each, and spread over both (ERRATA_SHARD=1).

A random GPT-2 of 24 layers (209 million parameters, float32) trains a LoRA on a CPU, each case under a torchrun of its
own. `weights` is by how much a process grew when the model was loaded; losses must agree.

    python -m bench.sharding
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from bench.shapes import SHAPES, random_weights, training_pairs
from lib.core.params import Lora
from lib.edits.adapter import new_adapter
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule, train
from lib.models.sharding import sharded
from lib.runtime.distributed import Distributed, process_group

PROCESSES = 2
STEPS = 8
_LAYERS = 24


def main() -> None:
    """Measure both cases, or be one process of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.into is not None:
        with process_group() as processes:
            (options.into / f"{processes.rank}.json").write_text(json.dumps(measure(processes)))
        return
    print("| model | weights in each process, MiB | seconds a step | loss of the last step |")
    print("|---|---|---|---|")
    losses = []
    for shard, name in (("0", "whole"), ("1", "spread")):
        of_processes = _run(shard)
        losses.append(of_processes[0]["loss"])
        sizes = ", ".join(f"{measured['weights']:.0f}" for measured in of_processes)
        print(f"| {name} | {sizes} | {of_processes[0]['step']:.2f} | {of_processes[0]['loss']:.6f} |", flush=True)
    if abs(losses[0] - losses[1]) > 1e-4:
        raise ValueError(f"the losses differ: {losses}")


def measure(processes: Distributed) -> dict[str, float]:
    """MiB that the model takes, seconds of a step without the first, and the last step's loss."""
    before = _resident()
    cpu = torch.device("cpu")
    model: Any = sharded(_model, cpu, processes) if processes.sharded else _model()
    taken = _resident() - before
    adapter = new_adapter(model, Lora(r=8, alpha=16.0, targets=["c_attn", "c_fc"]), seed=0)
    examples = [Example(item=pair) for pair in training_pairs(32 * STEPS)]
    schedule = Schedule(
        epochs=1, lr=1e-3, batch_size=32, micro_batch_tokens=512, weight_decay=0.0, max_grad_norm=1.0, seed=0
    )
    times: list[float] = []

    def timed(steps: Any) -> Iterator[int]:
        for step in steps:
            times.append(time.perf_counter())
            yield step
        times.append(time.perf_counter())

    with adapter.attached(model):
        done = train(model, adapter.parameters(), examples, schedule, processes, timed)
    return {"weights": taken, "step": (times[-1] - times[1]) / (STEPS - 1), "loss": done[-1].loss}


def _model() -> Any:
    return random_weights(SHAPES["gpt2-small"].config, _LAYERS)


def _resident() -> float:
    """MiB of memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _run(shard: str) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
        command += ["-m", "bench.sharding", "--into", name]
        environment = os.environ | {"ERRATA_SHARD": shard, "OMP_NUM_THREADS": "1"}
        environment["MALLOC_MMAP_THRESHOLD_"] = "1000000"  # else glibc keeps what was freed, and it counts as held
        subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
        return [json.loads((Path(name) / f"{rank}.json").read_text()) for rank in range(PROCESSES)]


if __name__ == "__main__":
    main()
