"""Training a LoRA: pairs a second against transformers.Trainer and PEFT, and single edits alone and together."""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from bench.gpu.shapes import SHAPES, Machine, lora_of, pairs, random_model
from bench.gpu.timing import parameters, peak_flops, peak_memory_mib, repeated
from bench.trainer_side import run_trainer
from lib.edits.adapter import new_adapter, save_adapter
from lib.methods.training.each import train_each
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule, train
from lib.methods.training.objective import Objective
from lib.models.packing import Item
from lib.runtime.distributed import Distributed

_MASS_PAIRS = 10_000 * 36 * 6
"""GPT-J's mass edit of the paper: edits x pairs of each x epochs."""
_EDIT_PAIRS, _EDIT_STEPS = 31, 50
"""A single edit of the paper: 31 pairs in one batch, 50 steps; 1.4 s."""


def lora_training(name: str, machine: Machine) -> dict[str, Any]:
    """Pairs a second, memory and share of peak FLOP of both sides, and the losses of their first steps."""
    steps, batch_size = (2, 4) if machine.tiny else (4, 128)
    model, shape = random_model(name, machine), SHAPES[name]
    items, schedule = pairs(steps * batch_size), _schedule(batch_size)
    examples = [Example(item=item) for item in items]
    losses: list[float] = []

    def work() -> None:
        adapter = new_adapter(model, lora_of(shape), seed=0)
        with adapter.attached(model):
            done = train(model, adapter.parameters(), examples, schedule, Distributed(), lambda all_steps: all_steps)
        losses[:] = [step.loss for step in done]

    engine = repeated(work, machine)
    rate = len(items) / engine["seconds"]
    # Frozen weights: forward and backward through activations, 2 FLOP a weight and token each.
    flops = 4 * parameters(model) * sum(item.length for item in items) / engine["seconds"]
    peak = peak_flops(machine)
    result = {
        "engine": engine | {"pairs_a_second": rate, "losses": list(losses), "flop_a_second": flops,
                            "share_of_peak": flops / peak if peak else None},
        "mass_edit_minutes": _MASS_PAIRS / rate / 60,
    }  # fmt: skip
    result["trainer"] = _trainer(model, shape, items, schedule, machine)
    result["ratio"] = rate / result["trainer"]["pairs_a_second"]
    return result


def _trainer(model: Any, shape: Any, items: list[Item], schedule: Schedule, machine: Machine) -> dict[str, Any]:
    """The other side: padded batches, full logits; its first step warms up and is not counted."""
    if machine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    ordered = [items[index] for step in range(len(items) // schedule.batch_size)
               for index in schedule.batch(step, len(items))]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        adapter = new_adapter(model, lora_of(shape), seed=0)
        save_adapter(Path(folder), adapter.updates(), model, lora_of(shape), "random")
        losses, step_seconds = run_trainer(model, Path(folder), ordered, schedule)
    counted = step_seconds[1:]
    return {
        "pairs_a_second": schedule.batch_size * len(counted) / sum(counted), "step_seconds": step_seconds,
        "losses": losses, "peak_gpu_memory_mib": peak_memory_mib(machine),
    }  # fmt: skip


def single_loras(machine: Machine) -> dict[str, Any]:
    """Seconds an edit of GPT-2 XL's shape: 31 pairs, one batch a step; one at a time, and several in shared passes."""
    model, shape = random_model("gpt2-xl", machine), SHAPES["gpt2-xl"]
    measured_steps = 2 if machine.tiny else 5
    schedule = _schedule(_EDIT_PAIRS, epochs=measured_steps)
    result: dict[str, Any] = {"steps_of_an_edit": _EDIT_STEPS, "steps_measured": measured_steps}
    for together in (1, 2) if machine.tiny else (1, 8, 32):
        examples = [[Example(item=item) for item in pairs(_EDIT_PAIRS, seed=edit)] for edit in range(together)]

        def work(examples: list[list[Example]] = examples) -> None:
            adapters = [new_adapter(model, lora_of(shape), seed=0) for _ in examples]
            train_each(model, adapters, examples, schedule, Objective(), lambda all_steps: all_steps)

        began = time.perf_counter()
        for _ in range(together):
            new_adapter(model, lora_of(shape), seed=0)
        set_up = time.perf_counter() - began
        timing = repeated(work, machine)
        a_step = max(0.0, timing["seconds"] - set_up) / measured_steps / together
        result[f"together_{together}"] = timing | {"set_up_seconds": set_up, "seconds_an_edit": a_step * _EDIT_STEPS}
    return result


def _schedule(batch_size: int, epochs: int = 1) -> Schedule:
    return Schedule(
        epochs=epochs, lr=7e-5, batch_size=batch_size, micro_batch_tokens=16_384, weight_decay=0.0, max_grad_norm=1.0,
        seed=0,
    )  # fmt: skip
