"""A hyper-network's training between two processes' lives: everything that its next step depends on."""

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from lib.core.files import newest_sound
from lib.methods.training.loop import Checkpoints
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint

_NAME = "state.safetensors"
Validation = dict[str, float]


class Resumable(Protocol):
    """A network in training."""

    done: int
    """Parts of the work that are done."""
    beside: Mapping[str, Tensor]
    """What else the next part, or the end, depends on."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Of its parameters."""


def save_run(checkpoints: Checkpoints, run: Resumable, validations: Sequence[Validation]) -> None:
    """Write everything that the next step depends on, whole or not at all."""
    tensors = {f"network/{name}": value.detach().clone() for name, value in run.network.state_dict().items()}
    tensors |= {f"beside/{name}": value for name, value in run.beside.items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": tensor for name, tensor in state.items()}
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    about = {"done": json.dumps(run.done), "validations": json.dumps(validations)}
    save_checkpoint(tensors, checkpoints.folder / _NAME, about)


def resume_run(checkpoints: Checkpoints | None, run: Resumable) -> list[Validation]:
    """Load the checkpoint, where there is a sound one, into `run`; return the validations before it."""
    if checkpoints is None or not (path := checkpoints.folder / _NAME).is_file():
        return []
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "beside": {}, "optimizer": {}}
    device = str(next(run.network.parameters()).device)
    checkpoint = newest_sound([path], lambda path: load_checkpoint(path, device))
    if checkpoint is None:
        return []
    for key, tensor in checkpoint.tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = tensor
    run.network.load_state_dict(parts["network"])
    run.beside, run.done = parts["beside"], json.loads(checkpoint.about["done"])
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in parts["optimizer"].items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = value.cpu() if name == "step" else value
    run.optimizer.load_state_dict({**run.optimizer.state_dict(), "state": state})
    validations: list[Validation] = json.loads(checkpoint.about["validations"])
    return validations
