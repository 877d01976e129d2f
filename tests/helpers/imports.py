"""The project's own files that a module imports, directly or not; and the arrows between its packages."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = ("lib", "stages", "apps")


def closure(start: Path) -> set[str]:
    """Every file of the project that importing `start` runs, itself among them, relative to the repository.

    What a DVC stage must depend on. Packages whose `__init__.py` holds a docstring alone are left out.
    """
    reached: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        if path.name == "__init__.py" and path.parent.name in ("datasets", "editors"):
            waiting.extend(path.parent.glob("*.py"))  # the folder is the registry: any of its modules may be run
        for name in imported(path):
            waiting.extend(_files(name))
    return {str(path.relative_to(ROOT)) for path in reached if path.name != "__init__.py" or _has_code(path)}


def package_arrows() -> set[tuple[str, str]]:
    """(importer, imported) over the packages of lib/, with `stages` and `apps`, each pair once."""
    return {(box(path), box(target)) for path, target in _arrows() if box(path) != box(target)}


def box(path: Path) -> str:
    """The package of lib/ that a file is in, or its top folder."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "lib" and len(parts) > 2 else parts[0]


def imported(path: Path) -> set[str]:
    """The dotted names of the project that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in OWN}


def _arrows() -> Iterator[tuple[Path, Path]]:
    for folder in OWN:
        for path in (ROOT / folder).rglob("*.py"):
            for name in imported(path) - {"lib"}:
                module = _module(name)
                if module is not None:
                    yield path, module


def _module(name: str) -> Path | None:
    """The file of a module or package; None for a name inside one."""
    parts = name.split(".")
    for path in (ROOT.joinpath(*parts).with_suffix(".py"), ROOT.joinpath(*parts, "__init__.py")):
        if path.is_file():
            return path
    return None


def _files(name: str) -> list[Path]:
    """The files that importing `name` runs: packages on the way, and the module, where they exist."""
    parts = name.split(".")
    candidates = [ROOT.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    candidates.append(ROOT.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]


def _has_code(path: Path) -> bool:
    body = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)
