"""A group of settings: a frozen record whose class says what every key means, checked with errors that name the key."""

import difflib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from lib.core.errors import InputError

_UNION_MEMBER = re.compile(r"(constrained-)?(int|float|str|bool)|(literal|list|tuple)\[.*")
"""What pydantic puts behind the key of a value that may be of several types: the type that it tried."""

_LARGEST = 2**63 - 1
"""What a seed may be for every library that takes it."""
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_LONGEST = 80
"""Letters of a value that are shown."""
_FILES = (".yaml", ".json")
"""How the name of a file ends, which a key stands in."""


class Section(BaseModel):
    """A group of settings: frozen, no unknown keys, no conversions, no number that is NaN or infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    OLD_NAMES: ClassVar[Mapping[str, str]] = {"micro_tokens": "micro_batch_tokens"}
    """Keys that had another name in the last release; read for one release more, with a note."""

    @model_validator(mode="before")
    @classmethod
    def _with_present_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for old, new in cls.OLD_NAMES.items():
            if new in cls.model_fields and old in values and new not in values:
                logging.getLogger(__name__).warning(
                    "%s: %s is now called %s; the next release no longer reads the old name", cls.__name__, old, new
                )
                values = {new if key == old else key: value for key, value in values.items()}
        return values


S = TypeVar("S", bound=Section)


def check(values: Any, kind: type[S], where: str) -> S:
    """`values` as a `kind`. Raises InputError naming each wrong key with what was wanted and found."""
    if unusable := [f"{_path(where, key)}: {reason}" for key, reason in _unusable(values)]:
        raise InputError("\n".join(unusable))
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems: dict[tuple[str, ...], list[Any]] = {}
        for problem in error.errors():
            key = tuple(str(part) for part in problem["loc"] if not _UNION_MEMBER.fullmatch(str(part)))
            problems.setdefault(key, []).append(problem)
        raise InputError("\n".join(_explain(key, problems[key], kind, where) for key in problems)) from None


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """'. Did you mean X?' where one of `names` is near, else nothing."""
    near = difflib.get_close_matches(name, names, n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def keys(kind: type[Section]) -> str:
    """The keys of a section, for a message."""
    return ", ".join(kind.model_fields)


def nested(annotation: Any) -> type[Section] | None:
    """The section that a field with this annotation holds: itself, or as a member of a union."""
    for member in (annotation, *get_args(annotation)):
        if isinstance(member, type) and issubclass(member, Section):
            return member
    return None


def _path(where: str, key: tuple[str, ...]) -> str:
    between = ": " if where.endswith(_FILES) else "." if where else ""
    return f"{where}{between}{'.'.join(key)}" if key else where


def _unusable(values: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every value, by its key, that no setting can have: a number beyond 64 bits, a text with NUL or half a letter."""
    if isinstance(values, Mapping | list):
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        for name, value in items:
            yield from _unusable(value, (*key, str(name)))
    elif isinstance(values, int) and abs(values) > _LARGEST:
        yield key, f"wanted a whole number of at most {_LARGEST:,}; found one of {len(str(abs(values)))} digits"
    elif isinstance(values, str) and _UNUSABLE.search(values):
        yield key, f"wanted a text that files and paths can have; found {ascii(values)[:_LONGEST]}"


def _explain(key: tuple[str, ...], problems: Sequence[Any], kind: type[Section], where: str) -> str:
    """One line about the key: what was wanted and what was found. `problems` are pydantic's, of each type tried."""
    path = _path(where, key)
    section, name = _section_of(key, kind)
    if problems[0]["type"] == "extra_forbidden":
        return f"{path}: unknown key{did_you_mean(name, list(section.model_fields))} (known: {keys(section)})"
    field = section.model_fields.get(name)
    meaning = (field.description if field and field.description else f"one of {keys(section)}") or ""
    if problems[0]["type"] == "missing":
        return f"{path}: absent; {meaning}"
    reasons = dict.fromkeys(problem["msg"] for problem in problems)
    return f"{path}: {' or '.join(reasons)}; found {_shown(problems[0]['input'])}. {meaning}"


def _shown(value: Any) -> str:
    text = ascii(value) if "\n" in repr(value) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _section_of(key: tuple[str, ...], kind: type[Section]) -> tuple[type[Section], str]:
    """The innermost section on the way to a key, and the key's name in it."""
    name = key[0] if key else ""
    for inner in key[1:]:
        field = kind.model_fields.get(name)
        section = nested(field.annotation) if field else None
        if section is None:
            break
        kind, name = section, inner
    return kind, name
