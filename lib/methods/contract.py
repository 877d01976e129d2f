"""The contract of an editor: the functions of its module, which go with the `NEEDS` that it declares.

This module imports no torch: the stages ask what an editor needs before they load anything heavy.
"""

import difflib
import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

from lib.core.needs import ContractError, Needs, declared_needs
from lib.core.params import Section
from lib.core.records import Fact, Request

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from lib.edits.edit import Edit
    from lib.methods.context import Context


class Editor(Protocol):
    """A module of lib/editors. `settings` is an instance of the module's own Settings."""

    __name__: str
    NEEDS: Needs
    Settings: type[Section]
    """The values of configs/editors/<name>.yaml."""

    def edit(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", requests: Sequence[Request],
        settings: Any, context: "Context",
    ) -> "Edit":  # fmt: skip
        """Make one edit of all requests and leave the model as it was.

        Where the model has earlier edits applied (protocol sequential), the result is what is added on top of them.
        """


class EditsEach(Editor, Protocol):
    """An editor whose independent edits share forward passes: NEEDS.edit_each."""

    def edit_each(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", requests: Sequence[Request],
        settings: Any, context: "Context",
    ) -> "list[Edit]":  # fmt: skip
        """Edit every request alone on the same model; equal to `edit` of one request at a time."""


class SizesEach(Editor, Protocol):
    """An editor that says how large one of its edits is: NEEDS.size_each."""

    def size_each(self, model: "PreTrainedModel", settings: Any, context: "Context") -> int | None:
        """Count the trainable values of one edit of `edit_each`; None where it makes one edit after another."""


class ReadsMoments(Editor, Protocol):
    """An editor that reads second moments from context.statistics: NEEDS.second_moments."""

    def moment_layers(self, model: "PreTrainedModel", settings: Any) -> list[int]:
        """List the layers whose second moments (lib/methods/locating/second_moments.py) it reads."""


class Prepares(Editor, Protocol):
    """An editor whose edits share what `context.prepared` then holds: NEEDS.prepares."""

    def prepare(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", settings: Any, context: "Context"
    ) -> Any:
        """Make it; the model has no edit applied."""


class Derives(Editor, Protocol):
    """An editor that reads what was derived from a second moment: NEEDS.derived."""

    def derive(self, moment: "Tensor", settings: Any) -> "dict[str, Tensor]":
        """Make tensors of one second moment [d_in, d_in] float32; stage `statistics` stores them beside it."""


class TrainsHypernet(Editor, Protocol):
    """An editor that reads a trained network from context.hypernet: NEEDS.hypernet."""

    def train_hypernet(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", pool: Sequence[Fact],
        settings: Any, context: "Context", folder: Path,
    ) -> dict[str, float]:  # fmt: skip
        """Train the network on `pool`, write it to `folder` and return the stage's metrics."""


__all__ = [
    "ContractError", "Derives", "Editor", "EditsEach", "Needs", "Prepares", "ReadsMoments", "SizesEach",
    "TrainsHypernet", "checked", "declared_needs", "derives", "edits_each", "prepares", "reads_moments", "sizes_each",
    "trains_hypernet",
]  # fmt: skip
_REQUIRED = ("NEEDS", "Settings", "edit")
_FUNCTIONS: dict[str, tuple[str, type]] = {
    "second_moments": ("moment_layers", ReadsMoments),
    "hypernet": ("train_hypernet", TrainsHypernet),
    "edit_each": ("edit_each", EditsEach),
    "size_each": ("size_each", SizesEach),
    "prepares": ("prepare", Prepares),
    "derived": ("derive", Derives),
}
"""The function that a module has if and only if it declares the need, and the Protocol that gives its parameters."""
_NAMES = [*_REQUIRED, *(function for function, _ in _FUNCTIONS.values())]


def edits_each(editor: Editor) -> TypeGuard[EditsEach]:
    """Whether the editor has `edit_each`."""
    return editor.NEEDS.edit_each


def sizes_each(editor: Editor) -> TypeGuard[SizesEach]:
    """Whether the editor has `size_each`."""
    return editor.NEEDS.size_each


def reads_moments(editor: Editor) -> TypeGuard[ReadsMoments]:
    """Whether the editor has `moment_layers`."""
    return editor.NEEDS.second_moments


def prepares(editor: Editor) -> TypeGuard[Prepares]:
    """Whether the editor has `prepare`."""
    return editor.NEEDS.prepares


def derives(editor: Editor) -> TypeGuard[Derives]:
    """Whether the editor has `derive`."""
    return editor.NEEDS.derived


def trains_hypernet(editor: Editor) -> TypeGuard[TrainsHypernet]:
    """Whether the editor has `train_hypernet`."""
    return editor.NEEDS.hypernet


def checked(module: ModuleType, path: Path, written: Needs) -> Editor:
    """The module at `path` as an Editor; `written` is what `declared_needs` reads there.

    Raises ContractError where a name of the contract is missing or misspelt, a function has other parameters than the
    contract's, a function and its need do not go together, or `NEEDS` differs from `written`.
    """
    for name in _REQUIRED:
        if name not in vars(module):
            raise ContractError(f"{path.name}: `{name}` is missing{_nearest(name, vars(module))}")
    if not (isinstance(module.Settings, type) and issubclass(module.Settings, Section)):
        raise ContractError(f"{path.name}: Settings: wanted a class derived from lib.core.params.Section")
    if written != module.NEEDS:
        raise ContractError(f"{path.name}: NEEDS is {module.NEEDS} after import, {written} as written")
    _check_parameters(module, "edit", Editor, path)
    for need, (function, protocol) in _FUNCTIONS.items():
        declared, defined = getattr(module.NEEDS, need), function in vars(module)
        if declared and not defined:
            raise ContractError(
                f"{path.name}: NEEDS declares {need}, but `{function}` is missing{_nearest(function, vars(module))}"
            )
        if defined and not declared:
            raise ContractError(f"{path.name}: it has `{function}`, but NEEDS does not declare {need}=True")
        if declared:
            _check_parameters(module, function, protocol, path)
    _check_spelling(module, path)
    return cast(Editor, module)


def _check_parameters(module: ModuleType, function: str, protocol: type, path: Path) -> None:
    expected = [name for name in inspect.signature(getattr(protocol, function)).parameters if name != "self"]
    actual = [*inspect.signature(getattr(module, function)).parameters]
    if actual != expected:
        raise ContractError(f"{path.name}: {function}: wanted ({', '.join(expected)}); found ({', '.join(actual)})")


def _check_spelling(module: ModuleType, path: Path) -> None:
    """No function of the module's own may have nearly a name of the contract: it would never be called."""
    for name, value in vars(module).items():
        own = inspect.isfunction(value) and value.__module__ == module.__name__
        if own and not name.startswith("_") and name not in _NAMES:
            for meant in difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.8):
                raise ContractError(f"{path.name}: `{name}` is not in the contract; did you mean `{meant}`?")


def _nearest(name: str, defined: dict[str, Any]) -> str:
    """A remark about the module's nearest name, where one is near."""
    near = difflib.get_close_matches(name, defined, n=1, cutoff=0.8)
    return f"; it has `{near[0]}`" if near else ""
