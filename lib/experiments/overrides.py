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

PARAMS = "params.yaml"
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*")
"""A key that an override can name: one with a dot would be read as two."""


def values_of(text: str) -> dict[str, Any]:
    """The values of a YAML 1.2 file."""
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return values


def by_file(changes: Sequence[str]) -> dict[str, list[str]]:
    """The overrides of each file: `configs/x.yaml:a=1` is of configs/x.yaml, `a=1` of params.yaml."""
    return dict(to_path_overrides(changes))


def overridden(text: str, overrides: Sequence[str], path: str) -> dict[str, Any]:
    """The values of the YAML file `text` after these overrides, which DVC applies as it does in an experiment.

    Raises InputError, naming `path`, where an override is malformed, a sweep, or of a key that the file does not have.
    """
    if not overrides:
        return values_of(text)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "values.yaml"
        copy.write_text(text, encoding="utf-8")
        try:
            apply_overrides(str(copy), list(overrides))
        except InvalidArgumentError as error:
            raise InputError(
                f"{path}: wanted -S key=value, of a key that the file has, and one value; found "
                f"{', '.join(overrides)}: {error.__cause__}"
            ) from error
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
            changes.append(f"{file}++{name}={_literal(value)}")
    return changes


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


def _literal(value: Any) -> str:
    """`value` as an override spells it. A text is quoted: null and 1.5 are texts too."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return str(QuotedString(text=value, quote=Quote.double).with_quotes())
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)
