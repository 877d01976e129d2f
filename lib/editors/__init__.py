"""Editors: one module each, found by its name. A module has one function

    edit(model, tokenizer, requests, settings, context) -> Edit

and a class `Settings` (a params.Section) for its preset configs/editors/<name>.yaml. The model comes back as it was.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from lib.distributed import World
from lib.params import Lora, Train, did_you_mean
from lib.records import Neighbor, Paraphrase
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


def names() -> list[str]:
    """Every editor there is."""
    return sorted(one.name for one in pkgutil.iter_modules(__path__))


def editor(name: str) -> Any:
    """The editor's module. Raises ValueError with the nearest name where there is none."""
    if name not in names():
        raise ValueError(f"editor: wanted one of {', '.join(names())}; found {name!r}{did_you_mean(name, names())}")
    module: ModuleType = importlib.import_module(f"{__name__}.{name}")
    return module
