"""Editors: one module each, found by its name. A module has one function

    edit(model, tokenizer, requests, settings, context) -> Edit

and a class `Settings` (a params.Section) for its preset configs/editors/<name>.yaml. The model comes back as it was.
Where the model already has earlier edits applied (sequential editing), the result is what is added on top of them.
A module may have, beside that:

    edit_each(model, tokenizer, requests, settings, context) -> list[Edit]
        every request alone on the same model, sharing forward passes; equal to `edit` of one request at a time
    size_each(model, settings, context) -> int
        trainable values of one edit in `edit_each`, from which the number of edits that fit into memory follows
    moment_layers(model, settings) -> list[int]
        layers whose second moments (lib/second_moments.py) it reads from context.statistics
    train_hypernet(model, tokenizer, pool, settings, context, folder) -> dict
        trains what it reads from context.hypernet; returns plain numbers for the stage's metrics
    SHARDED = True
        it neither reads nor writes a weight of the model, so that the model may be spread over processes
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from lib.core.params import Lora, Train, did_you_mean
from lib.core.records import Fact, Neighbor, Paraphrase, Request
from lib.runtime.distributed import World
from lib.training import Checkpoints, Step


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an editor may use beside the requests."""

    paraphrases: Sequence[Paraphrase]
    neighbors: Sequence[Neighbor]
    lora: Lora
    train: Train
    """With every `auto` resolved."""
    world: World
    progress: Callable[[Iterable[int]], Iterable[int]]
    checkpoints: Checkpoints | None
    record: Callable[[Sequence[Step]], None]
    """Takes the training curve, where there is one."""
    pool: Sequence[Fact] = ()
    """Unedited facts to learn from."""
    texts: Sequence[str] = ()
    """Plain text to train on."""
    statistics: Path | None = None
    """What stage `statistics` made."""
    hypernet: Path | None = None
    """What stage `hypernet` made."""
    state: Mapping[str, Tensor] = field(default_factory=dict)
    """Edit.state of the edit before this one in a sequential run."""

    def of(self, requests: Sequence[Request]) -> "Context":
        """The same, with the paraphrases and neighbors of these requests only."""
        ours = {request.edit_id for request in requests}
        return replace(
            self,
            paraphrases=[one for one in self.paraphrases if one.edit_id in ours],
            neighbors=[one for one in self.neighbors if one.edit_id in ours],
        )


def names() -> list[str]:
    """Every editor there is."""
    return sorted(one.name for one in pkgutil.iter_modules(__path__))


def editor(name: str) -> Any:
    """The editor's module. Raises ValueError with the nearest name where there is none."""
    if name not in names():
        raise ValueError(f"editor: wanted one of {', '.join(names())}; found {name!r}{did_you_mean(name, names())}")
    module: ModuleType = importlib.import_module(f"{__name__}.{name}")
    return module


def check_sharded(module: Any, world: World) -> None:
    """Raise ValueError where the model is spread over processes and this editor needs whole weights."""
    if world.sharded and not getattr(module, "SHARDED", False):
        able = [one for one in names() if getattr(editor(one), "SHARDED", False)]
        raise ValueError(
            f"ERRATA_SHARD=1: editor {module.__name__.rpartition('.')[2]} needs whole weights, which no process has; "
            f"with a model spread over processes wanted one of {', '.join(able)}"
        )
