"""The registry of editors: one module each, found by its name. lib/methods/contract.py says what a module must have."""

import importlib
import pkgutil
from pathlib import Path

from lib.core import editor_presets
from lib.core.errors import InputError
from lib.core.params import did_you_mean
from lib.methods.contract import Editor, Needs, checked, declared_needs

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Every editor, by name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def editor(name: str) -> Editor:
    """Load an editor's module and check it against the contract.

    Raises InputError with the nearest name where there is none, ContractError where the module breaks the contract.
    """
    written = needs(name)
    return checked(importlib.import_module(f"{__name__}.{name}"), _file(name), written)


def needs(name: str) -> Needs:
    """What an editor declares in its NEEDS, read from its source: neither it nor torch is imported.

    Raises as `editor` does.
    """
    return declared_needs(_file(name))


def check_preset(name: str) -> None:
    """Raise InputError where configs/editors/<name>.yaml does not fit the editor, for whatever model."""
    editor_presets.check_preset(name, editor(name).Settings)


def _file(name: str) -> Path:
    if name not in names():
        raise InputError(f"editor: wanted one of {', '.join(names())}; found {name!r}{did_you_mean(name, names())}")
    return _FOLDER / f"{name}.py"
