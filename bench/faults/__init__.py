"""What the pipeline does when a kill, a disk, a network or a file fails it: docs/reliability.md, made by one command.

    python -m bench.faults --scale small           # every part, and the page
    python -m bench.faults --only kills disks      # these two, at the full scale
    python -m bench.faults --only kills --rows "mass, memit, edit" dvc     # two rows; the page keeps its others
    python -m bench.faults --only files --rows GGUF --seed 14 --cases 500  # other cases of one loader

A part is one module bench/faults/<name>.py, named in PARTS, with one function

    def measure(trial: Trial) -> Findings

It runs in a process of its own. What it returns is kept in .scratch/faults/<name>.json. A part that was stopped goes on
where it wraps its cases in `trial.once`. The page's table of a part has the commit of every row; what was not run again
stays on the page as it was: sections of other parts, and rows that have another key (bench/faults/merging.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lib.core.files import read_json, write_json

PARTS: tuple[str, ...] = ("kills", "disks", "processes", "network", "files", "params", "pages")
"""Names of the modules, in the page's order."""
SEED = 13
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
    key: int = 1
    """By so many of a row's first cells it is known: a new row takes the place of all of that key."""
    order: tuple[tuple[str, ...], ...] = ()
    """The keys that a whole table has, or their beginnings, in its order; empty: of which nothing is known."""
    total: str = ""
    """The first cell of a last row with the sums of the columns of numbers; empty: no such row."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a part works with."""

    scale: Scale
    folder: Path
    """Where it may write; kept until the part is done, and shared with no other scale or version of the code."""
    rows: tuple[str, ...] = ()
    """The rows that are asked for, each as its key's cells, joined by ", "; none: all."""
    seed: int = SEED
    """Of what is drawn."""
    cases: int | None = None
    """How many of each kind; None: as many as the scale has."""

    def asks_for(self, *key: str) -> bool:
        """Whether a row is to be measured."""
        return not self.rows or ", ".join(key) in self.rows

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """What `measure` returns, in JSON's types: kept in `folder`, and not asked for again by a part that goes on.

        `name` is a file's name, unique in the part.
        """
        path = self.folder / f"{name}.json"
        if not path.is_file():
            write_json(path, {"value": measure()})
        return read_json(path)["value"]
