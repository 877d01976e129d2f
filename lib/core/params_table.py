"""The table of docs/params.md, made of lib/core/sections.py: `python -m lib.core.params_table` rewrites it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from lib.core.params import ROOT
from lib.core.root import Params
from lib.core.section import Section, nested

FILE = ROOT / "docs" / "params.md"
BEGIN, END = "<!-- made by python -m lib.core.params_table -->", "<!-- end -->"
_SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}


def table() -> str:
    """Key, kind of value and meaning of every parameter, in Markdown."""
    rows = [f"| {key} | {_value(field)} | {_meaning(field)} |" for key, field in _fields(Params)]
    return "\n".join(["| key | value | meaning |", "|---|---|---|", *rows])


def document(text: str) -> str:
    """`text`, docs/params.md, with the table in its place between the two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _fields(kind: type[Section], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every parameter with its path, those of nested sections among them."""
    for name, field in kind.model_fields.items():
        section = nested(field.annotation)
        if section is None:
            yield f"{prefix}{name}", field
        else:
            yield from _fields(section, f"{prefix}{name}.")


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


def _value(field: FieldInfo) -> str:
    """The type of a field's value, or the texts to choose from, with its range."""
    limits = " and ".join(
        f"{sign} {getattr(limit, kind.__name__.lower())}"
        for limit in field.metadata
        for kind, sign in _SIGNS.items()
        if isinstance(limit, kind)
    )
    return f"{_type(field.annotation)}{f' {limits}' if limits else ''}"


def _type(annotation: Any) -> str:
    """A type in words: `int`, `list of int`, `mass, single or sequential`, `number or auto`."""
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}
    if annotation in plain:
        return plain[annotation]
    members = get_args(annotation)
    if members and all(isinstance(member, str) for member in members):
        return ", ".join(members)
    metadata = getattr(annotation, "__metadata__", ())
    if metadata:  # Annotated[int, Field(ge=1)]
        return _value(FieldInfo.from_annotation(annotation))
    joined = [_type(member) for member in members]
    return f"list of: {joined[0]}" if getattr(annotation, "__origin__", None) is list else " or ".join(joined)


if __name__ == "__main__":
    Path(FILE).write_text(document(FILE.read_text(encoding="utf-8")), encoding="utf-8")
