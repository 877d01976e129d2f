"""The registry says what an editor needs without importing it, and refuses a module that breaks the contract."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from lib.core.errors import InputError
from lib.editors import editor, names, needs
from lib.methods.contract import ContractError, Editor, Needs, checked, declared_needs
from tests.helpers.imports import ROOT

MODULE = '''
from lib.core.params import Section
from lib.methods.contract import Needs

NEEDS = Needs(second_moments=True, edit_each=True)


class Settings(Section):
    """Nothing to set."""


def edit(model, tokenizer, requests, settings, context):
    raise NotImplementedError


def edit_each(model, tokenizer, requests, settings, context):
    raise NotImplementedError


def moment_layers(model, settings):
    return []
'''


def load(folder: Path, *changes: tuple[str, str]) -> Editor:
    """The module with every (old text, new text) replaced, loaded and checked."""
    source = MODULE
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    path = folder / "draft.py"
    path.write_text(source)
    written = declared_needs(path)
    spec = importlib.util.spec_from_file_location("draft", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return checked(module, path, written)


@pytest.mark.parametrize("name", names())
def test_every_editor_keeps_the_contract_and_its_source_says_what_it_needs(name: str) -> None:
    assert needs(name) == editor(name).NEEDS


def test_needs_are_read_without_torch() -> None:
    code = ["import sys", "from lib.editors import names, needs", "[needs(name) for name in names()]",
            "assert 'torch' not in sys.modules"]  # fmt: skip
    subprocess.run([sys.executable, "-c", "; ".join(code)], cwd=ROOT, check=True)


def test_an_editor_that_does_not_exist_is_an_error_with_the_nearest_name() -> None:
    for look_up in (editor, needs):
        with pytest.raises(InputError, match=r"found 'lorra'. Did you mean 'lora'"):
            look_up("lorra")


def test_a_module_that_keeps_the_contract_is_loaded(tmp_path: Path) -> None:
    assert Needs(second_moments=True, edit_each=True) == load(tmp_path).NEEDS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def moment_layers", "def moment_layer", "but `moment_layers` is missing; it has `moment_layer`"),
        ("def edit_each", "def each", "NEEDS declares edit_each, but `edit_each` is missing"),
        ("def edit(", "def edits(", "`edit` is missing; it has `edits`"),
        ("class Settings", "class Setting", "`Settings` is missing; it has `Setting`"),
        ("(Section)", "", "Settings: wanted a class derived from"),
        ("second_moments=True, ", "", "it has `moment_layers`, but NEEDS does not declare second_moments=True"),
        ("second_moments=True", "second_moment=True", "wanted second_moments, .* found 'second_moment'"),
        ("second_moments=True", "second_moments=bool(1)", r"second_moments: wanted True or False; found bool\(1\)"),
        ("NEEDS = Needs(second_moments=True, edit_each=True)", "", "NEEDS is missing"),
        ("NEEDS = Needs(", "NEEDS = dict(", r"wanted a literal `Needs\(...\)`"),
        ("requests, settings, context", "requests, context, settings", "edit: wanted .*settings, context.*; found"),
        ("def moment_layers(model, settings)", "def moment_layers(model)", "moment_layers: wanted .*; found .*model"),
    ],
)  # fmt: skip
def test_a_misspelt_or_missing_name_is_an_error_that_names_it(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=message):
        load(tmp_path, (old, new))


def test_a_misspelt_function_is_an_error_also_where_nothing_is_declared(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"`moment_layer` is not in the contract; did you mean `moment_layers`"):
        load(tmp_path, ("second_moments=True, ", ""), ("def moment_layers", "def moment_layer"))


def test_needs_that_change_after_the_literal_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"after import, .* as written"):
        load(tmp_path, ("class Settings", "NEEDS = Needs()\n\n\nclass Settings"))
