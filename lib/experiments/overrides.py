"""Changes of YAML files as `dvc exp run -S` takes them: what a file holds after them, and which set it back."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dvc.exceptions import InvalidArgumentError
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides
from hydra.core.override_parser.types import Quote, QuotedString
from ruamel.yaml import YAML

from lib.core.errors import InputError
from lib.core.params import did_you_mean

PARAMS = "params.yaml"
_LONGEST = 500
"""Letters of a setting, or of what is wrong with it, that are shown."""
_REFERENCE = "${"
_PRESET_PATH = re.compile(r"configs(/\w[\w.-]*)+\.yaml")
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*")
"""A key that an override can name: one with a dot would be read as two."""
_PLAIN_KEYS = re.compile(rf"{_PLAIN_KEY.pattern}(\.{_PLAIN_KEY.pattern})*")


def values_of(text: str) -> dict[str, Any]:
    """The values of a YAML 1.2 file."""
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return values


def by_file(changes: Sequence[str]) -> dict[str, list[str]]:
    """The overrides of each file: `configs/x.yaml:a=1` is of configs/x.yaml, `a=1` of params.yaml.

    Raises InputError where a change is of another file: a path that leads elsewhere would change a file of the user's.
    """
    overrides: dict[str, list[str]] = dict(to_path_overrides(changes))
    for path, of_path in overrides.items():
        if path != PARAMS and not _PRESET_PATH.fullmatch(path):
            raise InputError(
                f"-S {path}:{of_path[0]}: wanted key=value, of {PARAMS}, or configs/...yaml:key=value, of a preset; "
                f"found the file {path!r}"
            )
    return overrides


def distinct(settings: Sequence[str]) -> list[str]:
    """`settings`, what one command line gave.

    Raises InputError where it gives one key two values, or a key and its whole section: one of them would be lost.
    """
    earlier: dict[str, str] = {}
    for setting in settings:
        key = setting.partition("=")[0].strip().lstrip("+~").removeprefix(f"{PARAMS}:")
        for earlier_key, first in earlier.items():
            if first != setting and (_holds(key, earlier_key) or _holds(earlier_key, key)):
                values = f"{_cut(first)} and {_cut(setting)}"
                raise InputError(f"-S {_cut(key)}: wanted one value; found {values}. Leave one of them out")
        earlier[key] = setting
    return list(settings)


def _holds(section: str, key: str) -> bool:
    """Whether a key is the section, or is in it."""
    return f"{key}.".startswith(f"{section}.")


def overridden(text: str, overrides: Sequence[str], path: str) -> dict[str, Any]:
    """The values of the YAML file `text` after these overrides, which DVC applies as it does in an experiment.

    Raises InputError, naming `path`, where an override is malformed, a sweep, a reference to another key, or of a key
    that the file does not have.
    """
    if not overrides:
        return values_of(text)
    if references := [override for override in overrides if _REFERENCE in override]:
        raise InputError(
            f"{path}: wanted -S key=value, with a value as it is; found {_cut(references[0])}, in which "
            f"{_REFERENCE}...}} would be replaced by another setting"
        )
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "values.yaml"
        copy.write_text(text, encoding="utf-8")
        try:
            apply_overrides(str(copy), list(overrides))
        except Exception as error:  # DVC's own for most mistakes; its parser raises whatever comes for others
            reason = error.__cause__ if isinstance(error, InvalidArgumentError) else error
            wrong = f"{path}: wanted -S key=value, of a key that the file has, and one value; found"
            for key, setting in ((setting.partition("=")[0], setting) for setting in overrides):
                if _PLAIN_KEYS.fullmatch(key) and key not in (names := list(_keys(values_of(text)))):
                    raise InputError(f"{wrong} {_cut(setting)}{did_you_mean(key, names)}") from error
            raise InputError(f"{wrong} {_cut(', '.join(overrides))}: {_cut(str(reason))}") from error
        return values_of(copy.read_text(encoding="utf-8"))


def reset(actual: Mapping[str, Any], target: Mapping[str, Any], path: str) -> list[str]:
    """The overrides of file `path` that turn its values `actual` into `target`.

    Raises InputError where they differ in a key that no override can name.
    """
    file = "" if path == PARAMS else f"{path}:"
    changes = []
    for keys, present, value in differing(actual, target):
        if not all(_PLAIN_KEY.fullmatch(key) for key in keys):
            raise InputError(
                f"{path}: {'.'.join(keys)} differs from HEAD, and -S cannot name such a key. Rows start from HEAD: "
                "commit the file, or `git checkout` it"
            )
        name = ".".join(keys)
        if value is ABSENT:
            changes += [f"{file}++{name}=0"] if present is None else []  # a null cannot be deleted
            changes.append(f"{file}~{name}")
        else:
            changes.append(f"{file}++{name}={literal(value)}")
    return changes


def _keys(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Every key of nested mappings, the names on the way down joined by dots."""
    for name, value in values.items():
        yield f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{name}.")


def _cut(text: str) -> str:
    """As much of a text as a message shows."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class Absent:
    """The type of ABSENT."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()
"""Stands for the value of a key that a file does not have."""


def differing(
    actual: Mapping[str, Any], target: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Every key, as a path of keys, whose value differs, with its values in both; ABSENT in one that lacks it."""
    for key in dict.fromkeys((*target, *actual)):
        value, target_value = actual.get(key, ABSENT), target.get(key, ABSENT)
        path = (*above, str(key))
        if isinstance(value, Mapping) and isinstance(target_value, Mapping) and value and target_value:
            yield from differing(value, target_value, path)
        elif repr(value) != repr(target_value):  # 1, 1.0 and True are not the same setting
            yield path, value, target_value


def literal(value: Any) -> str:
    """`value` as an override spells it. A text is quoted: null and 1.5 are texts too."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return str(QuotedString(text=value, quote=Quote.double).with_quotes())
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)
