"""What a value search has found, kept against a kill one group of requests after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lib.core.files import newest_sound
from lib.methods.locating.places import Side
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from lib.methods.context import Context

Part = tuple[str, Side]
"""A module's path, and which side of it is read."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """What was found."""

    initial: Tensor  # [n, d] float32: the module's output with the bare prompt
    shift: Tensor  # [n, d]
    loss: list[list[float]]
    """Of every iteration of every request, before its step."""

    states: Mapping[Part, Tensor] = field(default_factory=dict)
    """By module and side what was read on the way, at the fact's token in every context: [n * contexts, d]. Empty where
    a tokenizer makes other tokens of a prompt with its target than of the prompt alone."""

    @property
    def target(self) -> Tensor:
        """v* or z*: [n, d]"""
        return self.initial + self.shift

    def report(self) -> dict[str, list[Any]]:
        """How each request's search ended: its last loss, and the number of iterations."""
        return {"loss": [round(trace[-1], 4) for trace in self.loss], "iterations": [len(trace) for trace in self.loss]}

    @classmethod
    def joined(cls, groups: Sequence[Values], parts: Iterable[Part]) -> Values:
        """Those of all groups, with the states of these parts."""
        return cls(
            initial=torch.cat([group.initial for group in groups]),
            shift=torch.cat([group.shift for group in groups]),
            loss=[trace for group in groups for trace in group.loss],
            states={part: torch.cat([group.states[part] for group in groups]) for part in parts},
        )


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """A folder with the values of a run's groups, each in a file of its own."""

    folder: Path | None
    """None: nothing is stored."""
    writes: bool
    """Whether this process is the one that writes."""

    @classmethod
    def beside(cls, context: Context, part: str = "") -> StoredValues:
        """Those of a `part` of an edit, beside its checkpoints; where it has none nothing is stored."""
        folder = context.checkpoints.folder / "values" / part if context.checkpoints else None
        return cls(folder=folder, writes=context.distributed.is_main)

    def of(self, group: int, device: torch.device, search: Callable[[], Values]) -> Values:
        """The group's values: as stored, where the file is there and sound, else what `search` gives."""
        if self.folder is None:
            return search()
        path = self.folder / f"{group:06d}.safetensors"
        if path.exists() and (stored := newest_sound([path], lambda path: _read(path, device))) is not None:
            return stored
        values = search()
        if self.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, values)
        return values


NOWHERE = StoredValues(folder=None, writes=False)
"""Nothing is stored, and every group is searched."""


def _write(path: Path, values: Values) -> None:
    losses = torch.tensor([loss for trace in values.loss for loss in trace], dtype=torch.float64)
    iterations = torch.tensor([len(trace) for trace in values.loss])
    states = {f"{side}/{module}": tensor for (module, side), tensor in values.states.items()}
    of_requests = {"initial": values.initial, "shift": values.shift, "losses": losses, "iterations": iterations}
    save_checkpoint(of_requests | states, path, {})


def _read(path: Path, device: torch.device) -> Values:
    tensors = dict(load_checkpoint(path, str(device)).tensors)
    initial, shift, losses, iterations = (tensors.pop(name) for name in ("initial", "shift", "losses", "iterations"))
    sides: dict[str, Side] = {"input": "input", "output": "output"}
    states = {
        (module, sides[side]): tensor for name, tensor in tensors.items() for side, _, module in [name.partition("/")]
    }
    return Values(
        initial=initial,
        shift=shift,
        loss=[trace.tolist() for trace in torch.split(losses, iterations.tolist())],
        states=states,
    )
