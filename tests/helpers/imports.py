"""The project's own files that a module imports, directly or not; and the arrows between its packages."""

from collections.abc import Iterator
from pathlib import Path

from lib.core.params import ROOT
from lib.runtime.imports import closure, imported

__all__ = ["ROOT", "box", "closure", "package_arrows"]

OWN = ("lib", "stages", "apps", "errata")


def package_arrows() -> set[tuple[str, str]]:
    """(importer, imported) over the packages of lib/, with `stages`, `apps` and `errata`, each pair once."""
    return {(box(path), box(target)) for path, target in _arrows() if box(path) != box(target)}


def box(path: Path) -> str:
    """The package of lib/ that a file is in, or its top folder."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "lib" and len(parts) > 2 else parts[0]


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
