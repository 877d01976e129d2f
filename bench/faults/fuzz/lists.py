"""Fuzzed lists that are kept over many runs: the leaderboard's lines, and the folders of a user's edits."""

import json
from pathlib import Path
from unittest import mock

from bench.faults.fuzz.cases import Loader
from lib.core import cache
from lib.core.params import ROOT
from lib.handover import recent
from lib.report import board_tables, leaderboard

_LINES = b"".join((ROOT / "docs" / "leaderboard.csv").read_bytes().splitlines(keepends=True)[:9])
_FOLDERS = {"folders": ["/home/ada/errata-towns", "/home/ada/новое 李", "errata-rivers"]}


def _leaderboard(folder: Path) -> None:
    """Read, sorted into tables, and written again."""
    entries = leaderboard.read(folder / "leaderboard.csv")
    board_tables.tables(entries)
    leaderboard.written(entries)


def _recent(folder: Path) -> None:
    """What a command without a folder takes."""
    with mock.patch.object(cache, "cache_folder", return_value=folder):
        recent.latest()


LOADERS = (
    Loader(name="leaderboard", files={"leaderboard.csv": _LINES}, values={}, read=_leaderboard),
    Loader(
        name="folders of one's edits",
        files={"edits.json": json.dumps(_FOLDERS).encode()},
        values={"edits.json": _FOLDERS},
        read=_recent,
    ),
)
