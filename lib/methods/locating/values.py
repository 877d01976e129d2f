"""What a value search has found, stored one group of requests after another: against a kill, and for other editors.

MEMIT, EMMET, AlphaEdit and BetaEdit search the same values wherever their settings are the same, and do so for most of
their time: what one has found on the unedited model another takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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

    def back_from(self, order: Sequence[int]) -> Values:
        """Those of requests that came in this order, by their own numbers: entry i is of request order[i]."""
        at = torch.tensor(order).argsort().to(self.initial.device)
        n = len(order)
        return Values(
            initial=self.initial[at],
            shift=self.shift[at],
            loss=[self.loss[number] for number in at.tolist()],
            states={part: rows.view(n, -1, rows.shape[1])[at].flatten(0, 1) for part, rows in self.states.items()},
        )


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """A folder with the values of a run's groups, each in a file of its own."""

    folder: Path | None
    """None: nothing is stored."""
    writes: bool
    """Whether this process is the one that writes."""
    reused: list[float] = field(default_factory=list)
    """Takes the seconds of every search that was not made since its values were there."""

    @classmethod
    def beside(cls, context: Context, part: str = "") -> StoredValues:
        """Those of a `part` of an edit, beside its checkpoints; where it has none nothing is stored."""
        folder = context.checkpoints.folder / "values" / part if context.checkpoints else None
        return cls(folder=folder, writes=context.distributed.is_main, reused=context.reused)

    @classmethod
    @contextmanager
    def shared(cls, context: Context, **search: Any) -> Iterator[StoredValues]:
        """Those of all runs that search the same on the same model: `search` says what, in values that JSON can hold.

        Those of this run alone (`beside`) where there is no such space, or the model has been edited.
        """
        if context.shared_scratch is None or context.earlier.requests:
            yield cls.beside(context)
            return
        with context.shared_scratch(_SEARCH, search) as folder:
            yield cls(folder=folder, writes=context.distributed.is_main, reused=context.reused)

    def of(self, group: int, device: torch.device, search: Callable[[], Values]) -> Values:
        """The group's values: as stored, where the file is there and sound, else what `search` gives."""
        if self.folder is None:
            return search()
        path = self.folder / f"{group:06d}.safetensors"
        if path.exists() and (stored := newest_sound([path], lambda path: _read(path, device))) is not None:
            values, seconds = stored
            self.reused.append(seconds)
            return values
        began = time.perf_counter()
        values = search()
        if self.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, values, time.perf_counter() - began)
        return values


_SEARCH = "lib.methods.locating.target_vectors"
_SECONDS = "seconds"

NOWHERE = StoredValues(folder=None, writes=False)
"""Nothing is stored, and every group is searched."""


def _write(path: Path, values: Values, seconds: float) -> None:
    losses = torch.tensor([loss for trace in values.loss for loss in trace], dtype=torch.float64)
    iterations = torch.tensor([len(trace) for trace in values.loss])
    states = {f"{side}/{module}": tensor for (module, side), tensor in values.states.items()}
    of_requests = {"initial": values.initial, "shift": values.shift, "losses": losses, "iterations": iterations}
    save_checkpoint(of_requests | states, path, {_SECONDS: f"{seconds:.3f}"})


def _read(path: Path, device: torch.device) -> tuple[Values, float]:
    checkpoint = load_checkpoint(path, str(device))
    tensors = dict(checkpoint.tensors)
    initial, shift, losses, iterations = (tensors.pop(name) for name in ("initial", "shift", "losses", "iterations"))
    sides: dict[str, Side] = {"input": "input", "output": "output"}
    states = {
        (module, sides[side]): tensor for name, tensor in tensors.items() for side, _, module in [name.partition("/")]
    }
    values = Values(
        initial=initial,
        shift=shift,
        loss=[trace.tolist() for trace in torch.split(losses, iterations.tolist())],
        states=states,
    )
    return values, float(checkpoint.about[_SECONDS])
