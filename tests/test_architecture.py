"""Which package may import which: the floors of the house, lowest first (CONTRIBUTING.md has the picture)."""

import ast
import re

import pytest

from tests.helpers.imports import ROOT, box, package_arrows
from tests.helpers.picture import PAGE, drawing, drawn

FLOORS = (
    {"core"},
    {"runtime", "data", "neighbors", "metrics"},
    {"models", "datasets", "report"},
    {"edits", "generation"},
    {"methods", "scoring", "abilities", "paraphrases", "experiments", "export"},
    {"editors", "tiny", "handover"},
    {"protocols"},
    {"stages", "apps"},
    {"errata"},
)
SIDEWAYS = {("neighbors", "data"), ("neighbors", "runtime")}
"""Arrows on one floor that are allowed: (importer, imported)."""
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}


def test_every_package_stands_on_a_floor() -> None:
    packages = {path.parent.name for path in (ROOT / "lib").glob("*/__init__.py")}
    assert packages | {"stages", "apps", "errata"} == set(FLOOR)


@pytest.mark.parametrize(("importer", "imported"), sorted(package_arrows()))
def test_imports_point_down(importer: str, imported: str) -> None:
    assert imported != "lib", "modules stand in packages"
    down = FLOOR[importer] > FLOOR[imported]
    assert down or (importer, imported) in SIDEWAYS, f"lib/{importer} may not import lib/{imported}"


def test_every_allowed_arrow_on_one_floor_is_there() -> None:
    assert package_arrows() >= SIDEWAYS


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


def test_the_drawing_in_contributing_is_that_of_the_imports() -> None:
    assert drawn(PAGE.read_text()) == drawing(package_arrows()), "renew it: python -m tests.helpers.picture"


def test_a_drawing_leaves_out_what_a_longer_path_implies() -> None:
    lines = ["flowchart TD", "    stages --> models", "    models --> core", ""]
    assert drawing([("stages", "core"), ("stages", "models"), ("models", "core")]).split("\n") == lines


def test_a_circle_of_packages_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="core -> data -> core"):
        drawing([("core", "data"), ("data", "core")])


def test_the_documents_name_files_that_exist() -> None:
    examples = {"lib/editors/nudge.py", "configs/editors/nudge.yaml"}  # tests/test_new_editor.py makes them in a copy
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md"), ROOT / "params.yaml"]
    named = re.compile(r"(?<![\w/])(?:lib|stages|apps|bench|tests|docs|configs|experiments)/[\w/.-]+\.(?:py|md|yaml)\b")
    missing = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages
        if page.name != "LOG.md"  # dated entries name what was there then
        for name in {*named.findall(page.read_text())} - examples
        if not (ROOT / name).exists()
    }
    assert missing == set()


def test_every_file_has_at_most_300_lines() -> None:
    paths = [
        path
        for folder in ("errata", "lib", "stages", "apps", "bench", "tests")
        for path in (ROOT / folder).rglob("*.py")
    ]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}
