"""Files of experiments/: rows of changes to params.yaml, each of which is run once for every seed by DVC."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lib.core.errors import InputError
from lib.core.params import read_params
from lib.core.section import Section, check, did_you_mean

Scale = Literal["paper", "small"]
"""Of the rows: as the paper has them, or as far as a CPU takes them in hours."""
SET = "set"
_KEYS = ("stage", "seeds", "seed_params", "published", "show", SET, "rows", "small")
_FOLDER = "experiments"


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
    published: str | None
    """The name in lib/metrics/published.py of what stands beside the rows; None: what is nearest to the run."""
    show: Literal["headline", "weights"]
    """What the table prints: the headline of every row, or what its edits change in the weights."""
    small: Mapping[str, Sequence[str]]
    """Changes of `--scale small`, over a row's own: `set` of every row, and of rows by their names."""
    skipped: Sequence[str]
    """Rows that `--scale small` leaves out."""

    def changes(self, row: str, seed: int, settings: Sequence[str], scale: Scale = "paper") -> list[str]:
        """All changes of one run; `settings` are put over the common ones, and a row's own over both.

        At scale `small` its changes go over the row's, and settings over those of its changes that they name.
        """
        seeds = [f"{param}={seed}" for param in self.seed_params]
        changes = [*self.common, *settings, *self.rows[row]]
        if scale == "small":
            smaller = [*self.small.get(SET, ()), *self.small.get(row, ())]
            keys = {_key(change) for change in smaller}
            changes += [*smaller, *(setting for setting in settings if _key(setting) in keys)]
        return [*changes, *seeds]

    def slug(self, row: str, seed: int) -> str:
        """File, row and seed in letters that git allows in a name: `rows-ft-mask-s0`."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.name}-{row}-s{seed}".lower()).strip("-")

    def selected(self, names: Sequence[str], scale: Scale = "paper") -> list[str]:
        """The rows of these names in the file's order; where `names` is empty, all but those that the scale leaves out.

        Raises InputError for a name that no row has.
        """
        if not names:
            return [row for row in self.rows if scale == "paper" or row not in self.skipped]
        if unknown := [name for name in names if name not in self.rows]:
            raise InputError(f"{self.name}: wanted rows among {', '.join(self.rows)}; found {unknown[0]!r}")
        return [row for row in self.rows if row in names]


class _Content(Section):
    """What a file of experiments/ holds."""

    stage: str = Field(default="evaluate", description="up to which a row is run")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="of each row's runs")
    seed_params: list[str] = Field(description="the params that a seed is put into")
    published: str | None = Field(default=None, description="a name in lib/metrics/published.py")
    show: Literal["headline", "weights"] = Field(default="headline", description="what the table prints")
    set: list[str] = Field(default=[], description="changes of every row, as -S takes them")
    rows: dict[str, list[str]] = Field(min_length=1, description="changes of each row, by its name")
    small: dict[str, list[str]] | None = Field(default=None, description="changes of --scale small, by row")


def _key(change: str) -> str:
    """What a change sets: `a.b=1` sets a.b."""
    return change.partition("=")[0].lstrip("+~")


def read_experiments(path: Path) -> Experiments:
    """The file at `path`. Raises FileNotFoundError where there is none, InputError for a key that no file has."""
    values = read_params(path)
    if unknown := [key for key in values if key not in _KEYS]:
        near = did_you_mean(str(unknown[0]), _KEYS)
        raise InputError(f"{path}: wanted the keys {', '.join(_KEYS)}; found {unknown[0]!r}{near}")
    content = check(values, _Content, str(path))
    small = dict(content.small or {})
    skipped = small.pop("skip", [])
    if wrong := [row for row in (*small, *skipped) if row not in (*content.rows, SET)]:
        raise InputError(f"{path}: small: wanted set, skip and rows of the table; found {wrong[0]!r}")
    folder = path.resolve().parent
    return Experiments(
        name=f"{folder.name}-{path.stem}" if folder.parent.name == _FOLDER else path.stem,
        stage=content.stage,
        seeds=content.seeds,
        seed_params=content.seed_params,
        common=content.set,
        rows=content.rows,
        published=content.published,
        show=content.show,
        small=small,
        skipped=skipped,
    )
