"""A group of settings: a frozen record whose class says what every key means, checked with errors that name the key."""

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from lib.core.errors import InputError

_UNION_MEMBER = re.compile(r"(constrained-)?(int|float|str|bool)|(literal|list|tuple)\[.*")
"""What pydantic puts behind the key of a value that may be of several types: the type that it tried."""


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


def _explain(key: tuple[str, ...], problems: Sequence[Any], kind: type[Section], where: str) -> str:
    """One line about the key: what was wanted and what was found. `problems` are pydantic's, of each type tried."""
    path = ".".join((where, *key)) if where else ".".join(key)
    section, name = _section_of(key, kind)
    if problems[0]["type"] == "extra_forbidden":
        return f"{path}: unknown key{did_you_mean(name, list(section.model_fields))} (known: {keys(section)})"
    field = section.model_fields.get(name)
    meaning = (field.description if field and field.description else f"one of {keys(section)}") or ""
    if problems[0]["type"] == "missing":
        return f"{path}: absent; {meaning}"
    reasons = dict.fromkeys(problem["msg"] for problem in problems)
    return f"{path}: {' or '.join(reasons)}; found {problems[0]['input']!r}. {meaning}"


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
