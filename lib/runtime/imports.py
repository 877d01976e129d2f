"""Which of the project's own files a module runs when it is imported, read from their source."""

import ast
from pathlib import Path

from lib.core.params import ROOT

_OWN = ("lib", "stages", "apps")
_REGISTRIES = ("datasets", "editors")
"""Packages that import their modules by name: any of them may be run."""


def closure(start: Path) -> set[str]:
    """Every file of the project that importing `start` runs, itself among them, relative to the repository.

    What a DVC stage must depend on, and what its unfinished work is made by.
    Packages whose `__init__.py` holds a docstring alone are left out.
    """
    reached: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        if path.name == "__init__.py" and path.parent.name in _REGISTRIES:
            waiting.extend(path.parent.glob("*.py"))
        for name in imported(path):
            waiting.extend(_files(name))
    return {str(path.relative_to(ROOT)) for path in reached if path.name != "__init__.py" or _has_code(path)}


def imported(path: Path) -> set[str]:
    """The dotted names of the project that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in _OWN}


def _files(name: str) -> list[Path]:
    """The files that importing `name` runs: packages on the way, and the module, where they exist."""
    parts = name.split(".")
    candidates = [ROOT.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    candidates.append(ROOT.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]


def _has_code(path: Path) -> bool:
    body = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)
