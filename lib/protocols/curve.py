"""The training curve as a file that grows with the training: what DVC's plots, and VS Code's, show while it runs."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lib.core.errors import writing
from lib.core.files import write_csv
from lib.methods.training.loop import Step

COLUMNS = [*Step.__dataclass_fields__]


class Curve:
    """One row a step over all sessions, counted on, in a CSV file.

    A row is in the file as soon as its step is done. `finish` writes the same bytes anew, whole and synced to the disk.
    """

    def __init__(self, path: Path | None) -> None:
        """An empty curve: the file has its header alone. None writes none, as in all processes but the main one."""
        self._path = path
        self.steps: list[Step] = []
        self.finish()

    def add(self, steps: Sequence[Step]) -> None:
        """Append the steps. Raises OSError that names the file where the disk takes no more."""
        counted = [replace(step, step=index) for index, step in enumerate(steps, len(self.steps))]
        self.steps.extend(counted)
        if self._path is None:
            return
        with writing(self._path), self._path.open("a", newline="") as stream:
            csv.DictWriter(stream, COLUMNS).writerows(asdict(step) for step in counted)

    def finish(self) -> None:
        """Write the whole curve. Raises OSError that names the file where the disk takes no more."""
        if self._path is not None:
            write_csv(self._path, COLUMNS, map(asdict, self.steps))
