"""Gradient descent on the objective: batching, schedule, accumulation, several processes, resuming.

A step takes the loss of its global batch (objective.py), whatever the number of processes and of forward passes.
"""

import functools
import json
import math
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from lib.core.errors import NotFiniteError
from lib.core.files import newest_sound
from lib.edits.apply import Gate
from lib.methods.training.example import Example
from lib.methods.training.objective import Objective
from lib.models.sharding import join_uneven
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint
from lib.runtime.distributed import Distributed

_KEPT_CHECKPOINTS = 2
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_CONDITIONAL = Objective()


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, how fast, in what portions."""

    epochs: int
    lr: float
    """Peak learning rate of AdamW; rises in a straight line over the warm-up, then follows half a cosine to 0."""
    batch_size: int
    """Items per step over all processes."""
    micro_batch_tokens: int
    """Tokens per forward pass in one process."""
    weight_decay: float
    max_grad_norm: float
    seed: int
    least_steps: int = 1
    """Where the epochs make fewer steps than that, there are more epochs."""
    warmup: int = 0
    """Steps in which the rate rises to its peak."""
    beta2: float = 0.999
    """Decay of AdamW's second moment."""

    def steps(self, items: int) -> int:
        """Optimiser steps for this many items, in whole epochs; the last batch of an epoch may be smaller."""
        an_epoch = self.epoch_steps(items)
        return max(self.epochs, math.ceil(self.least_steps / an_epoch)) * an_epoch

    def epoch_steps(self, items: int) -> int:
        """Optimiser steps of an epoch."""
        return math.ceil(items / self.batch_size)

    def rate(self, step: int, total: int) -> float:
        """Learning rate of a step."""
        rising = min(1.0, (step + 1) / (self.warmup + 1))
        falling = max(0, step - self.warmup) / max(1, total - self.warmup)
        return self.lr * rising * 0.5 * (1 + math.cos(math.pi * falling))

    def optimizer(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """AdamW as the schedule has it, for these parameters."""
        return torch.optim.AdamW(
            parameters, lr=self.lr, betas=(0.9, self.beta2), weight_decay=self.weight_decay, fused=True
        )

    def batch(self, step: int, items: int) -> list[int]:
        """The items of a step: every epoch goes through all of them in an order of its own."""
        epoch, number = divmod(step, math.ceil(items / self.batch_size))
        order = _order(self.seed, epoch, items)
        return order[number * self.batch_size : (number + 1) * self.batch_size].tolist()


@functools.lru_cache(maxsize=1)
def _order(seed: int, epoch: int, items: int) -> "array[int]":
    return array("l", Random(f"{seed}/{epoch}").sample(range(items), items))


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one optimiser step did."""

    step: int
    epoch: float
    loss: float
    """Mean -log p per target token of the global batch, in nats, before the step."""
    lr: float


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Where training state is kept against a kill, and how often."""

    folder: Path
    every: int
    """Steps."""
    seconds: float = _SECONDS_BETWEEN_CHECKPOINTS
    """After so long there is one, however few steps were made: one of a thousand edits takes minutes."""

    def due(self, steps: int, saved: float) -> bool:
        """Whether one is to be written after so many steps; `saved` is when the last one was (time.monotonic)."""
        return steps % self.every == 0 or time.monotonic() - saved >= self.seconds


def train(
    model: nn.Module,
    parameters: Sequence[Tensor],
    examples: Sequence[Example],
    schedule: Schedule,
    distributed: Distributed,
    progress: Callable[[Iterable[int]], Iterable[int]],
    checkpoints: Checkpoints | None = None,
    objective: Objective = _CONDITIONAL,
    beside: Callable[[int], Sequence[Example]] = lambda step: (),
    gate: Gate | None = None,
    penalty: Callable[[], Tensor] | None = None,
    record: Callable[[Sequence[Step]], None] = lambda steps: None,
) -> list[Step]:
    """Train `parameters` in place and return what each step did.

    Continues from the newest checkpoint, with the same final bytes as without the interruption.

    Args:
        beside: the examples that a step has beside the schedule's (plain text, and what is held).
        gate: the attached adapter's, where the objective holds anything.
        penalty: added to every step's loss: a scalar of the parameters alone.
        record: takes each step when it is done, and first those before the checkpoint.

    Raises:
        ValueError: there is nothing to train on.
        NotFiniteError: the loss is not finite.
    """
    if not examples:
        raise ValueError("training: wanted at least one pair of prompt and target, found none")
    optimizer = schedule.optimizer(parameters)
    done = resume_steps(checkpoints, parameters, optimizer) if checkpoints else []
    record(done)
    distributed.barrier()  # nobody writes a checkpoint before everybody has read the same one
    total, saved = schedule.steps(len(examples)), time.monotonic()
    for step in progress(range(len(done), total)):
        lr = schedule.rate(step, total)
        batch = [*(examples[index] for index in schedule.batch(step, len(examples))), *beside(step)]
        loss = _backward(model, parameters, optimizer, batch, objective, schedule, distributed, gate, penalty)
        descend(parameters, optimizer, lr, schedule)
        done.append(Step(step=step, epoch=step / schedule.epoch_steps(len(examples)), loss=loss, lr=lr))
        record(done[-1:])
        if checkpoints and distributed.is_main and step + 1 < total and checkpoints.due(step + 1, saved):
            save_steps(checkpoints.folder, parameters, optimizer, done)
            saved = time.monotonic()
    return done


def _backward(
    model: nn.Module,
    parameters: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    batch: Sequence[Example],
    objective: Objective,
    schedule: Schedule,
    distributed: Distributed,
    gate: Gate | None,
    penalty: Callable[[], Tensor] | None,
) -> float:
    """Gradients of the global batch's loss, of which this process computes its share; returns the global loss."""
    share = distributed.shard(sorted(batch, key=lambda example: -example.length))
    total = torch.zeros((), device=parameters[0].device)
    optimizer.zero_grad(set_to_none=False)

    def add(loss: Tensor) -> None:
        loss.backward(inputs=list(parameters))  # type: ignore[no-untyped-call]
        total.add_(loss.detach())

    with join_uneven(model, lambda: add(0.0 * objective.loss(model, batch[:1], batch, gate))):
        for indices in objective.cut(share, batch, schedule.micro_batch_tokens):
            add(objective.loss(model, [share[index] for index in indices], batch, gate))
    if penalty is not None and distributed.is_main:
        add(penalty())
    gradients = [
        parameter.grad if parameter.grad is not None else torch.zeros_like(parameter) for parameter in parameters
    ]
    distributed.all_reduce([total, *gradients])
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if not math.isfinite(total.item()):
        raise NotFiniteError(f"the loss became {total.item()}; lower train.lr (now {schedule.lr})")
    return total.item()


def descend(parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer, lr: float, schedule: Schedule) -> None:
    """One step of the optimizer on the gradients that `parameters` have, scaled down to the schedule's norm."""
    torch.nn.utils.clip_grad_norm_(parameters, schedule.max_grad_norm)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()


def save_steps(folder: Path, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer, done: list[Step]) -> None:
    """Write everything that the next step depends on, whole or not at all; drop all but the newest checkpoints."""
    tensors: dict[str, Tensor] = {}
    for index, parameter in enumerate(parameters):
        tensors[f"{index}/value"] = parameter.detach()
        for name, value in optimizer.state[parameter].items():
            tensors[f"{index}/{name}"] = value
    about = {"steps": json.dumps([asdict(taken) for taken in done])}
    save_checkpoint(tensors, folder / f"step-{len(done):08d}.safetensors", about)
    for old in sorted(folder.glob("step-*.safetensors"))[:-_KEPT_CHECKPOINTS]:
        old.unlink()


def resume_steps(
    checkpoints: Checkpoints, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer
) -> list[Step]:
    """Load the newest sound checkpoint, if any, into parameters and optimizer; return the steps behind it."""
    paths = sorted(checkpoints.folder.glob("step-*.safetensors"))
    checkpoint = newest_sound(paths, lambda path: load_checkpoint(path, str(parameters[0].device)))
    if checkpoint is None:
        return []
    state: dict[int, dict[str, Any]] = {}
    with torch.no_grad():
        for key, tensor in checkpoint.tensors.items():
            index, _, name = key.partition("/")
            if name == "value":
                parameters[int(index)].copy_(tensor)
            else:
                state.setdefault(int(index), {})[name] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return [Step(**fields) for fields in json.loads(checkpoint.about["steps"])]
