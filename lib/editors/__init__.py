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
        layers whose second moments (lib/methods/locating/second_moments.py) it reads from context.statistics
    train_hypernet(model, tokenizer, pool, settings, context, folder) -> dict
        trains what it reads from context.hypernet; returns plain numbers for the stage's metrics
    SHARDED = True
        it neither reads nor writes a weight of the model, so that the model may be spread over processes
"""

import ast
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from lib.core.errors import InputError
from lib.core.params import did_you_mean

_EDITORS = Path(__file__).parent


def names() -> list[str]:
    """Every editor there is."""
    return sorted(one.name for one in pkgutil.iter_modules(__path__))


def editor(name: str) -> Any:
    """The editor's module. Raises InputError with the nearest name where there is none."""
    if name not in names():
        raise InputError(f"editor: wanted one of {', '.join(names())}; found {name!r}{did_you_mean(name, names())}")
    module: ModuleType = importlib.import_module(f"{__name__}.{name}")
    return module


def defines(editor: str, function: str) -> bool:
    """Whether lib/editors/<editor>.py has `function` at its top level; no for an editor that does not exist."""
    path = _EDITORS / f"{editor}.py"
    if not path.is_file():
        return False
    return any(isinstance(one, ast.FunctionDef) and one.name == function for one in ast.parse(path.read_text()).body)
