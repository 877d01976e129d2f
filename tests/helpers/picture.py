"""The drawing of the packages in CONTRIBUTING.md, from their imports: `python -m tests.helpers.picture` renews it."""

from collections.abc import Iterable

from tests.helpers.imports import ROOT, package_arrows

PAGE = ROOT / "CONTRIBUTING.md"
START, END = "```mermaid\n", "```\n"


def drawing(arrows: Iterable[tuple[str, str]]) -> str:
    """A Mermaid flowchart of (importer, imported), without the arrows that longer paths imply.

    Raises ValueError where packages import each other in a circle.
    """
    imports: dict[str, set[str]] = {}
    for importer, imported in arrows:
        imports.setdefault(importer, set()).add(imported)
    below = {package: _below(package, imports, ()) for package in imports}
    lines = ["flowchart TD"]
    for package in sorted(imports, key=lambda name: (-len(below[name]), name)):
        implied = set().union(*(below.get(imported, set()) for imported in imports[package]))
        lines.append(f"    {package} --> {' & '.join(sorted(imports[package] - implied))}")
    return "\n".join(lines) + "\n"


def drawn(page: str) -> str:
    """The drawing that a page holds."""
    return page.split(START)[1].split(END)[0]


def _below(package: str, imports: dict[str, set[str]], path: tuple[str, ...]) -> set[str]:
    """Everything that a package imports, directly or not."""
    if package in path:
        raise ValueError(f"packages import each other: {' -> '.join((*path, package))}")
    direct = imports.get(package, set())
    return direct.union(*(_below(imported, imports, (*path, package)) for imported in direct))


if __name__ == "__main__":
    before, after = PAGE.read_text().split(START)
    PAGE.write_text(f"{before}{START}{drawing(package_arrows())}{END}{after.partition(END)[2]}")
