"""The pictures of docs/, from the numbers that lie beside them: `python -m tests.helpers.doc_pictures` renews them."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from safetensors.numpy import load_file

from bench import growth, neighbors_growth
from lib.experiments.curves import pictures
from lib.report.plots.maps import change_maps
from tests.helpers.imports import ROOT

DOCS = ROOT / "docs"
STUDIES = ("appendix-batches", "figure3", "figure8", "figure8-known", "rect", "sequential")


def doc_pictures() -> Iterator[tuple[Path, str]]:
    """The file of each picture and what it holds."""
    for study in STUDIES:
        for name, drawing in pictures(pl.read_csv(DOCS / study / "points.csv")).items():
            yield DOCS / study / f"{name}.svg", drawing.as_file()
    maps = load_file(DOCS / "figure5" / "maps.safetensors")  # by titles such as "ROME, 5 edits"
    by_edits = {title: maps[title] for title in sorted(maps, key=lambda title: int(title.split()[-2]))}
    yield DOCS / "figure5" / "maps.svg", change_maps(by_edits).as_file()
    for module, name in ((growth, "growth"), (growth, "stream_growth"), (neighbors_growth, "neighbors_growth")):
        rows = pl.read_csv(DOCS / f"{name}.csv").to_dicts()
        yield DOCS / f"{name}.svg", module.picture(rows).as_file()


if __name__ == "__main__":
    for path, content in doc_pictures():
        path.write_text(content, encoding="utf-8")
