"""Typed access to the fields of one input row: an absent or mistyped field is a RowError that names it.

Values that people's tools write in place of a text (a year as a number, a list of aliases, an id as a float) are read,
and noted with the file (`Notes`).
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.core.records import FOUND
from lib.data.visible import is_control, is_visible

WHOLE_ROW = "row"
"""The field of a RowError about the row as a whole."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_INDICES = re.compile(r"\[\d+\]")
_LONGEST_SHOWN = 60
_FIELDS_NAMED = 12
"""Of the fields that are ignored."""
_EXACT_FLOAT = 2**53
"""Below it a float without a fraction is that whole number."""


class RowError(Exception):
    """A row that cannot be used: the field and the reason of its reject."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Notes:
    """What was ignored in a file, or taken for something else: each remark with the number of rows it is true of."""

    def __init__(self) -> None:
        self._lines: dict[str, set[int]] = {}
        self._fields: dict[str, bool] = {}

    def add(self, remark: str, line: int | None = None) -> None:
        """Note `remark`, of the row on `line` where it is about one."""
        self._lines.setdefault(remark, set()).update(() if line is None else (line,))

    def has(self, fields: Iterable[str]) -> None:
        """Note that a record of the file has these fields, named by their paths without places in lists."""
        for name in fields:
            self._fields.setdefault(name, False)

    def read(self, name: str) -> None:
        """Note that a field is looked at."""
        self._fields[name] = True

    def add_ignored(self) -> None:
        """Remark on the fields that records have and that none was asked for."""
        ignored = [repr(name) for name, is_read in self._fields.items() if not is_read]
        if ignored:
            more = f" and {len(ignored) - _FIELDS_NAMED} more" if len(ignored) > _FIELDS_NAMED else ""
            names = ", ".join(ignored[:_FIELDS_NAMED])
            self.add(f"field{'s' if len(ignored) > 1 else ''} {names}{more} ignored")

    def remarks(self) -> list[str]:
        """The remarks in the order of their first row, those about rows with how many and the first one's line."""
        return [
            f"{remark} ({len(lines)} row{'s' if len(lines) > 1 else ''}, the first on line {min(lines)})"
            if lines
            else remark
            for remark, lines in self._lines.items()
        ]


@dataclass(frozen=True, kw_only=True)
class InputRow:
    """The fields of one record. Texts come without white space around them."""

    line: int
    """Its position in the file, as in records.Reject."""
    values: Mapping[str, Any]
    within: str = ""
    """The path of the field that holds this record, with its dot; empty for a whole row."""
    notes: Notes = field(default_factory=Notes, compare=False)
    """The file's."""

    def __post_init__(self) -> None:
        self.notes.has(map(self._path, self.values))

    def _path(self, name: str) -> str:
        """A field's path without places in lists."""
        return f"{_INDICES.sub('', self.within)}{name}" if self.within else name

    def value(self, name: str) -> Any:
        """What the field holds; None where it is absent."""
        self.notes.read(self._path(name))
        return self.values.get(name)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every field with what it holds."""
        for name in self.values:
            yield name, self.value(name)

    def has(self, name: str) -> bool:
        """Whether the field is there with a value: neither null, NaN, blank nor a list of such values."""
        return not _is_absent(self.value(name))

    def text(self, name: str) -> str:
        """A text that is not blank."""
        return _text(self.value(name), self.within + name)

    def optional_text(self, name: str) -> str | None:
        """A text, or None where the field is absent or blank."""
        return self.text(name) if self.has(name) else None

    def answer(self, name: str) -> str:
        """A text or a number, or the first of a list of them, however nested: the first alias of the first answer."""
        return self.answer_of(self.value(name), self.within + name)

    def optional_answer(self, name: str) -> str | None:
        """As `answer`, or None where the field is absent or blank, or holds control tokens alone."""
        if _is_control(self.value(name)):
            self.notes.add(f"{self.within}{name}: a control token was read as absent", self.line)
            return None
        return self.answer(name) if self.has(name) else None

    def answer_of(self, value: Any, path: str) -> str:
        """As `answer`, of a value at `path`."""
        remark = _INDICES.sub("", path)
        while isinstance(value, list) and value:
            if len(value) > 1:
                self.notes.add(f"{remark}: of several the first was taken", self.line)
            value = next((item for item in value if not _is_absent(item)), value[0])
        if (number := _number(value)) is not None:
            self.notes.add(f"{remark}: a number was read as text", self.line)
            return number
        return _text(value, path)

    def subject(self, name: str) -> str:
        """A text, or a number as text: a book may be called 1984."""
        value = self.value(name)
        return self.text(name) if isinstance(value, list) else self.answer_of(value, self.within + name)

    def key(self, name: str) -> str:
        """A number or a text, as text; a float without a fraction is that whole number."""
        value = self.value(name)
        if isinstance(value, float) and math.isfinite(value):
            kind = "a whole number" if value.is_integer() else "text"
            self.notes.add(f"{name}: a float was read as {kind}", self.line)
        return _number(value) or self.text(name)

    def template(self, name: str) -> str:
        """A text with exactly one {}."""
        text = self.text(name)
        if text.count("{}") != 1:
            raise RowError(self.within + name, f"wanted exactly one {{}} for the subject{FOUND}{shown(text)}")
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, none of them blank; lists inside it are taken apart."""
        return tuple(_text(value, path) for path, value in self._flat(self._items(name, "texts")))

    def optional_texts(self, name: str) -> tuple[str, ...]:
        """As `texts`; none, which is noted, where the field is null."""
        if name in self.values and self.value(name) is None:
            self.notes.add(f"{self.within}{name}: null was read as an empty list", self.line)
            return ()
        return self.texts(name)

    def record(self, name: str) -> "InputRow":
        """A record inside this one."""
        return self.inner(self.value(name), self.within + name)

    def records(self, name: str) -> list["InputRow"]:
        """A list of records."""
        return [self.inner(value, path) for path, value in self._items(name, "records")]

    def _items(self, name: str, item_kind: str) -> list[tuple[str, Any]]:
        value, path = self.value(name), self.within + name
        if value is None:
            raise RowError(path, "absent")
        if not isinstance(value, list):
            raise RowError(path, f"wanted a list of {item_kind}{FOUND}{shown(value)}")
        return [(f"{path}[{index}]", item) for index, item in enumerate(value)]

    def _flat(self, items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        flat: list[tuple[str, Any]] = []
        for path, item in items:
            if isinstance(item, list):
                whole_list = _INDICES.sub("", path)
                self.notes.add(f"{whole_list}: a list inside the list was taken apart", self.line)
                flat += self._flat([(f"{path}[{index}]", inner) for index, inner in enumerate(item)])
            else:
                flat.append((path, item))
        return flat

    def inner(self, value: Any, path: str) -> "InputRow":
        """A record at `path` of this one."""
        if value is None:
            raise RowError(path, "absent")
        if not isinstance(value, Mapping):
            raise RowError(path, f"wanted a record{FOUND}{shown(value)}")
        return InputRow(line=self.line, values=value, within=f"{path}.", notes=self.notes)


def refuse_repeated(first_lines: dict[str, int], key: str, row: InputRow, name: str) -> None:
    """Note that `row` has this key. Raises RowError where an earlier row of `first_lines` has it."""
    first = first_lines.setdefault(key, row.line)
    if first != row.line:
        raise RowError(name, f"wanted a key of its own{FOUND}{shown(key)} on line {first} already")


def has_surrogate(text: str) -> bool:
    """Whether a text has half of a surrogate pair, which no file in UTF-8 can hold."""
    return bool(_LONE_SURROGATE.search(text))


def shown(value: Any) -> str:
    """`value` as an error shows it: short, and fit for UTF-8 whatever it holds."""
    try:
        text = repr(value)
    except RecursionError:
        return f"{type(value).__name__} in {type(value).__name__}, too deep to be shown"
    text = ascii(value) if _LONE_SURROGATE.search(text) else text
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _is_absent(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_absent, value))
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not _LONE_SURROGATE.search(value) and not is_visible(value))
    )


def _is_control(value: Any) -> bool:
    """Whether a value, or every one of a list, is control tokens alone."""
    if isinstance(value, list):
        return bool(value) and all(map(_is_control, value))
    return isinstance(value, str) and is_control(value)


def _number(value: Any) -> str | None:
    """A finite number as people write it; None for anything else, true and false among it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return (
        str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT else str(value)
    )


def _text(value: Any, path: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise RowError(path, "absent")
    if not isinstance(value, str):
        raise RowError(path, f"wanted text{FOUND}{shown(value)}")
    if _LONE_SURROGATE.search(value):
        raise RowError(path, f"wanted Unicode text{FOUND}half of a surrogate pair in {shown(value)}")
    if not value.strip():
        raise RowError(path, "empty")
    if not is_visible(value):
        raise RowError(path, f"wanted a character that can be seen{FOUND}{shown(value)}")
    if is_control(value):
        raise RowError(path, f"wanted words{FOUND}the control token {shown(value.strip())}")
    return value.strip()
