"""Which package may import which: the floors of the house, lowest first (CONTRIBUTING.md has the picture)."""

import ast

import pytest

from tests.helpers.imports import ROOT, box, package_arrows

FLOORS = (
    {"core"},
    {"runtime", "data", "neighbors", "metrics"},
    {"models", "datasets", "report"},
    {"edits", "generation"},
    {"methods", "scoring", "abilities", "paraphrases", "experiments", "export"},
    {"editors", "tiny"},
    {"protocols"},
    {"stages", "apps"},
)
SIDEWAYS = {("scoring", "abilities"), ("neighbors", "data")}
"""Arrows on one floor that are allowed: (importer, imported)."""
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}


def test_every_package_stands_on_a_floor() -> None:
    packages = {path.parent.name for path in (ROOT / "lib").glob("*/__init__.py")}
    assert packages | {"stages", "apps"} == set(FLOOR)


@pytest.mark.parametrize(("importer", "imported"), sorted(package_arrows()))
def test_imports_point_down(importer: str, imported: str) -> None:
    assert imported != "lib", "modules stand in packages"
    down = FLOOR[importer] > FLOOR[imported]
    assert down or (importer, imported) in SIDEWAYS, f"lib/{importer} may not import lib/{imported}"


def test_nothing_but_packages_stands_in_lib() -> None:
    assert [path.name for path in (ROOT / "lib").glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("package", ["core", "metrics", "data"])
def test_packages_that_load_no_model_import_no_torch(package: str) -> None:
    for path in (ROOT / "lib" / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heavy = [name for name in names if name.split(".")[0] in ("torch", "transformers", "peft")]
            assert not heavy, f"{box(path)}/{path.name} imports {heavy}"
