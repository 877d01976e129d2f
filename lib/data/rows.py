"""Typed access to the fields of one input row: an absent or mistyped field is a RowError that names it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib.core.records import FOUND

WHOLE_ROW = "row"
"""The field of a RowError about the row as a whole."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_SHOWN = 60


class RowError(Exception):
    """A row that cannot be used: the field and the reason of its reject."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class InputRow:
    """The fields of one record. Texts come without white space around them."""

    line: int
    """Its position in the file, as in records.Reject."""
    values: Mapping[str, Any]
    within: str = ""
    """The path of the field that holds this record, with its dot; empty for a whole row."""

    def has(self, name: str) -> bool:
        """Whether the field is there with a value: neither null nor blank."""
        value = self.values.get(name)
        return value is not None and not (isinstance(value, str) and not value.strip())

    def text(self, name: str) -> str:
        """A text that is not blank."""
        return _text(self.values.get(name), self.within + name)

    def optional_text(self, name: str) -> str | None:
        """A text, or None where the field is absent or blank."""
        return self.text(name) if self.has(name) else None

    def key(self, name: str) -> str:
        """A whole number or a text, as text."""
        value = self.values.get(name)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(name)

    def template(self, name: str) -> str:
        """A text with exactly one {}."""
        text = self.text(name)
        if text.count("{}") != 1:
            raise RowError(self.within + name, f"wanted exactly one {{}} for the subject{FOUND}{shown(text)}")
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, none of them blank."""
        return tuple(_text(value, path) for path, value in self._items(name, "texts"))

    def record(self, name: str) -> "InputRow":
        """A record inside this one."""
        return self._record(self.values.get(name), self.within + name)

    def records(self, name: str) -> list["InputRow"]:
        """A list of records."""
        return [self._record(value, path) for path, value in self._items(name, "records")]

    def _items(self, name: str, item_kind: str) -> list[tuple[str, Any]]:
        value, path = self.values.get(name), self.within + name
        if value is None:
            raise RowError(path, "absent")
        if not isinstance(value, list):
            raise RowError(path, f"wanted a list of {item_kind}{FOUND}{shown(value)}")
        return [(f"{path}[{index}]", item) for index, item in enumerate(value)]

    def _record(self, value: Any, path: str) -> "InputRow":
        if value is None:
            raise RowError(path, "absent")
        if not isinstance(value, Mapping):
            raise RowError(path, f"wanted a record{FOUND}{shown(value)}")
        return InputRow(line=self.line, values=value, within=f"{path}.")


def refuse_repeated(first_lines: dict[str, int], key: str, row: InputRow, name: str) -> None:
    """Note that `row` has this key. Raises RowError where an earlier row of `first_lines` has it."""
    first = first_lines.setdefault(key, row.line)
    if first != row.line:
        raise RowError(name, f"wanted a key of its own{FOUND}{shown(key)} on line {first} already")


def shown(value: Any) -> str:
    """`value` as an error shows it: short, and fit for UTF-8 whatever it holds."""
    text = ascii(value) if _LONE_SURROGATE.search(repr(value)) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _text(value: Any, path: str) -> str:
    if value is None:
        raise RowError(path, "absent")
    if not isinstance(value, str):
        raise RowError(path, f"wanted text{FOUND}{shown(value)}")
    if _LONE_SURROGATE.search(value):
        raise RowError(path, f"wanted Unicode text{FOUND}half of a surrogate pair in {shown(value)}")
    if not value.strip():
        raise RowError(path, "empty")
    return value.strip()
