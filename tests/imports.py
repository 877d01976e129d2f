"""The project's own files that a module imports, directly or not: what a DVC stage must depend on."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = ("lib", "stages", "apps")


def closure(start: Path) -> set[str]:
    """Every file of the project that importing `start` runs, itself among them, relative to the repository."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.name == "__init__.py" and path.parent.name in ("datasets", "editors"):
            waiting.extend(path.parent.glob("*.py"))  # the folder is the registry: any of its modules may be run
        for name in _imported(path):
            waiting.extend(_files(name))
    return {str(path.relative_to(ROOT)) for path in found}


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in OWN}


def _files(name: str) -> list[Path]:
    """The files that importing `name` runs: packages on the way, and the module, where they exist."""
    parts = name.split(".")
    candidates = [ROOT.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    candidates.append(ROOT.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]
