"""What an editor declares of itself in its `NEEDS`, read from its source: neither it nor torch is imported."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from lib.core.params import ROOT

_EDITORS = ROOT / "lib" / "editors"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an editor needs or can do beyond `edit`; written as a literal, `NEEDS = Needs(second_moments=True)`."""

    second_moments: bool = False
    """Stage `statistics` gathers second moments for it; the module has `moment_layers`."""
    hypernet: bool = False
    """Stage `hypernet` trains its network; the module has `train_hypernet`."""
    edit_each: bool = False
    """Independent edits share forward passes; the module has `edit_each`."""
    size_each: bool = False
    """The memory of an edit limits how many edits `edit_each` makes together; the module has `size_each`."""
    prepares: bool = False
    """What all edits of a run share is made once, of the unedited model; the module has `prepare`."""
    closes_earlier: bool = False
    """In a sequential run it computes with the unedited model, too: the gate `context.earlier.gate` closes the edits
    of the batches before."""
    derived: bool = False
    """Stage `statistics` also stores what it derives from each second moment; the module has `derive`."""
    sharded: bool = False
    """It neither reads nor writes a weight of the model, so that the model may be spread over processes."""
    recipe: bool = False
    """It trains as section `train` of params.yaml says."""
    seeded: bool = False
    """It draws with `train.seed`."""
    weightless: bool = False
    """No weight holds its edits: they are a memory beside a module, or text before prompts, or there is none."""


class ContractError(TypeError):
    """An editor module breaks the contract."""


def editor_needs(name: str) -> Needs:
    """What the editor of this name declares. Raises FileNotFoundError where there is none, else as `declared_needs`."""
    return declared_needs(_EDITORS / f"{name}.py")


def editors_where(holds: Callable[[Needs], bool]) -> list[str]:
    """The names of the editors whose needs are such, in their order. Raises as `declared_needs`."""
    paths = sorted(_EDITORS.glob("[a-z]*.py"))
    return [path.stem for path in paths if holds(declared_needs(path))]


def declared_needs(path: Path) -> Needs:
    """Read `NEEDS` from an editor's source without running it, so that no editor's imports are paid for.

    Raises ContractError where the file has no `NEEDS = Needs(...)` of True and False at its top level, or where it
    names a need that does not exist.
    """
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["NEEDS"]:
            return _needs_of(node.value, path.name)
    raise ContractError(f"{path.name}: NEEDS is missing; wanted `NEEDS = Needs(...)`, `Needs()` where it needs nothing")


def _needs_of(value: ast.expr, file: str) -> Needs:
    """The record that the expression `Needs(name=True, ...)` makes."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "Needs" and not value.args):
        raise ContractError(f"{file}: NEEDS: wanted a literal `Needs(...)`; found `{ast.unparse(value)}`")
    needs = [field.name for field in fields(Needs)]
    values: dict[str, bool] = {}
    for keyword in value.keywords:
        if keyword.arg not in needs:
            raise ContractError(f"{file}: NEEDS: wanted {', '.join(needs)}; found {keyword.arg!r}")
        if not (isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)):
            raise ContractError(
                f"{file}: NEEDS.{keyword.arg}: wanted True or False; found {ast.unparse(keyword.value)}"
            )
        values[keyword.arg] = keyword.value.value
    return Needs(**values)
