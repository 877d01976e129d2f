"""Files of experiments/: rows of changes to params.yaml, each of which is run once for every seed by DVC."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from lib.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Experiments:
    """One file. Changes are as `dvc exp run -S` takes them."""

    name: str
    stage: str
    """Up to which a row is run."""
    seeds: Sequence[int]
    seed_params: Sequence[str]
    """The params that a row's seed is put into."""
    common: Sequence[str]
    """Changes of every row."""
    rows: Mapping[str, Sequence[str]]

    def changes(self, row: str, seed: int, settings: Sequence[str]) -> list[str]:
        """All changes of one run; `settings` are put over the common ones, and a row's own over both."""
        seeds = (f"{param}={seed}" for param in self.seed_params)
        return [*self.common, *settings, *self.rows[row], *seeds]

    def slug(self, row: str, seed: int) -> str:
        """File, row and seed in letters that git allows in a name: `rows-ft-mask-s0`."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.name}-{row}-s{seed}".lower()).strip("-")

    def selected(self, names: Sequence[str]) -> list[str]:
        """The rows of these names in the file's order; all of them where `names` is empty.

        Raises InputError for a name that no row has.
        """
        if unknown := [name for name in names if name not in self.rows]:
            raise InputError(f"{self.name}: wanted rows among {', '.join(self.rows)}; found {unknown[0]!r}")
        return [row for row in self.rows if not names or row in names]


def read_experiments(path: Path) -> Experiments:
    """The file at `path`. Raises FileNotFoundError where there is none."""
    values = YAML(typ="safe").load(path)
    return Experiments(
        name=path.stem,
        stage=values.get("stage", "evaluate"),
        seeds=values["seeds"],
        seed_params=values["seed_params"],
        common=values.get("set", []),
        rows=values["rows"],
    )
