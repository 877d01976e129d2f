"""Seconds, memory and share of the peak, of work that is repeated for as long as there is time."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from bench.gpu.shapes import Machine

_LEAST, _MOST = 3, 50
_PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40": 181e12, "B200": 2250e12}
"""Dense bfloat16 FLOP a second by what the GPU's name holds, from the makers' data sheets."""


def repeated(work: Callable[[], object], machine: Machine) -> dict[str, Any]:
    """Do `work` once to warm up, then at least 3 times and until the time is over: median and range of its seconds."""
    work()
    _wait(machine)
    if machine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds: list[float] = []
    ends = time.perf_counter() + machine.seconds
    while len(seconds) < _LEAST or (time.perf_counter() < ends and len(seconds) < _MOST):
        began = time.perf_counter()
        work()
        _wait(machine)
        seconds.append(time.perf_counter() - began)
    return {
        "seconds": statistics.median(seconds), "least": min(seconds), "most": max(seconds), "times": len(seconds),
        "peak_gpu_memory_mib": peak_memory_mib(machine),
    }  # fmt: skip


def peak_memory_mib(machine: Machine) -> int | None:
    """The most memory of the GPU since the last warm-up; None on a CPU."""
    return torch.cuda.max_memory_allocated() // 2**20 if machine.device.type == "cuda" else None


def peak_flops(machine: Machine) -> float | None:
    """The GPU's dense bfloat16 FLOP a second, where they are known."""
    if machine.device.type != "cuda":
        return None
    name = torch.cuda.get_device_name()
    return next((flops for part, flops in _PEAK_FLOPS.items() if part in name), None)


def parameters(model: torch.nn.Module) -> int:
    """Number of weights that every token is multiplied with: the embedding is looked up."""
    embedding = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in embedding)


def _wait(machine: Machine) -> None:
    if machine.device.type == "cuda":
        torch.cuda.synchronize()
