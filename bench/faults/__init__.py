"""What the pipeline does when a kill, a disk, a network or a file fails it: docs/reliability.md, made by one command.

    python -m bench.faults --scale small           # every part, and the page
    python -m bench.faults --only kills disks      # these two, at the full scale

A part is one module bench/faults/<name>.py, named in PARTS, with one function

    def measure(trial: Trial) -> Findings

It runs in a process of its own. What it returns is kept in .scratch/faults/<name>.json, and the page is written from
whatever parts are there. A part that was stopped goes on where it wraps its cases in `trial.once`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lib.core.files import read_json, write_json

PARTS: tuple[str, ...] = ("kills", "disks", "processes", "network", "files", "params", "pages")
"""Names of the modules, in the page's order."""
Scale = Literal["small", "full"]
"""How much a part tries: minutes, or what the page promises."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a part has to say: one section of the page."""

    title: str
    text: str
    """What was done, and how a row is counted, in plain English; paragraphs are parted by empty lines."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """One table; a cell is a text, numbers as they shall be read."""
    faults: tuple[str, ...]
    """What went wrong, a sentence each; empty where everything held. The command then ends with exit status 1."""
    unreached: tuple[str, ...]
    """What was not tried, and why, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a part works with."""

    scale: Scale
    folder: Path
    """Where it may write; kept until the part is done, and shared with no other scale or version of the code."""

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """What `measure` returns, in JSON's types: kept in `folder`, and not asked for again by a part that goes on.

        `name` is a file's name, unique in the part.
        """
        path = self.folder / f"{name}.json"
        if not path.is_file():
            write_json(path, {"value": measure()})
        return read_json(path)["value"]
