"""Renew the leaderboard's page and tables from its numbers: `python -m apps.leaderboard [docs/leaderboard.csv]`.

The CSV gets its lines from `python -m apps.table ... --csv FILE`, which renews the two as well: FILE.html, a page that
sorts, and the tables of FILE.md, between two marks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lib.core.errors import InputError
from lib.core.files import replacing
from lib.core.run import run
from lib.report import board_tables, leaderboard
from lib.report.leaderboard import Entry

BOARD = Path("docs/leaderboard.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", metavar="FILE", nargs="?", type=Path, default=BOARD, help="a CSV of apps.table")
    path = parser.parse_args().csv
    if not path.is_file():
        raise InputError(f"{path}: wanted a CSV of `python -m apps.table ... --csv {path}`; found no such file")
    renew(path, leaderboard.read(path))


def renew(path: Path, entries: Sequence[Entry]) -> None:
    """Write the CSV at `path`, the page beside it, and the tables of the Markdown file beside it where there is one.

    Raises InputError where that has no marks between which the tables go.
    """
    markdown, csv = path.with_suffix(".md"), leaderboard.written(entries)
    lines = leaderboard.parsed(csv, path)  # as rounded there, so that nothing shown is rounded from other digits
    texts = {path: csv, path.with_suffix(".html"): board_tables.page(lines)}
    if markdown.is_file():
        text = markdown.read_text(encoding="utf-8")
        texts[markdown] = board_tables.with_tables(text, lines, str(markdown))
    for file, text in texts.items():
        with replacing(file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
