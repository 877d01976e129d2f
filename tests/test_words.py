"""Names say what a thing is: vague names are counted, and their number may only fall."""

import ast
from collections.abc import Iterator

import pytest

from tests.helpers.imports import ROOT

VAGUE = frozenset(
    ("one", "found", "place", "places", "made", "some", "given", "kept", "said", "known", "wanted", "whole", "both",
     "so_far", "here", "other", "others", "told", "asked", "shown", "chosen", "drawn", "looked", "thing", "things",
     "stuff", "ours", "theirs", "mine", "again", "now", "then", "what", "which", "alike", "former", "latter", "latest",
     "much", "many", "few")
)  # fmt: skip
MOST = {"errata": 0, "lib": 6, "stages": 0, "apps": 0, "bench": 0, "tests": 0}
"""The most vague names that a folder may bind: lower a number when names were given, never raise it."""


def vague_names(source: str) -> Iterator[tuple[int, str]]:
    """(line, name) of variable and parameter whose name says nothing of what it holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE:
            yield node.lineno, node.id
        elif isinstance(node, ast.arg) and node.arg in VAGUE:
            yield node.lineno, node.arg


@pytest.mark.parametrize("folder", MOST)
def test_vague_names_do_not_increase(folder: str) -> None:
    bindings = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in vague_names(path.read_text())
    ]
    assert len(bindings) <= MOST[folder], "say what each of these is:\n" + "\n".join(bindings)


def test_variables_parameters_and_loops_are_looked_at_and_uses_are_not() -> None:
    source = "def f(one):\n    found = [some for some in one]\n    return found, row\n"
    assert sorted(vague_names(source)) == [(1, "one"), (2, "found"), (2, "some")]


def test_a_class_name_has_one_meaning() -> None:
    """But for `Settings`, which every editor has of its own."""
    paths: dict[str, list[str]] = {}
    for folder in set(MOST) - {"tests", "errata"}:  # errata.Edit is the face of an Edit to those who import it
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    paths.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in paths.items() if len(files) > 1 and name != "Settings"} == {}
