"""Datasets: one module each, found by its name. A module has one function

    load(files, facts, preset, own) -> Loaded

where `files` maps a role of the preset to the file at hand. A module touches no network and reads nothing else.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from lib.core import params
from lib.core.errors import InputError
from lib.core.params import Dataset, Facts, Own, SourceFile
from lib.core.records import Fact
from lib.data import sources
from lib.data.dataset import Loaded

NO_POOL = "none"
_OWN = "own"


def names() -> list[str]:
    """Every dataset there is."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str, files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """The dataset read by module `name`. Raises InputError with the nearest name where there is none."""
    if name not in names():
        near = params.did_you_mean(name, names())
        raise InputError(f"dataset: wanted one of {', '.join(names())}; found {name!r}{near}")
    loaded: Loaded = importlib.import_module(f"{__name__}.{name}").load(files, facts, preset, own)
    return replace(loaded, pool=_sample(loaded.pool, facts))


def _sample(pool: list[Fact], facts: Facts) -> list[Fact]:
    """As many facts as facts.pool_limit asks for, in the order of the pool, which may go relation by relation."""
    if facts.pool_limit is None or len(pool) <= facts.pool_limit:
        return pool
    return [pool[number] for number in sorted(Random(f"{facts.seed}/pool").sample(range(len(pool)), facts.pool_limit))]


def find(preset: Dataset, facts: Facts, own: Own) -> dict[str, sources.Source]:
    """Every file that `load` needs, by its role; the user's own facts need those of their pool as well.

    Raises InputError where facts.extras names a file that the preset does not have.
    """
    if preset.loader != _OWN:
        return sources.resolve({**preset.files, **_extras(preset, facts)}, Path(facts.folder))
    pool = pool_preset(own)
    return {_OWN: sources.user_file(Path(own.path), "own.path"), **(find(pool, facts, own) if pool else {})}


def text_source(preset: Dataset, own: Own, files: Mapping[str, sources.Source]) -> str:
    """What the plain text is, in words: the file of role `text`, else what comes with the code."""
    if "text" in files:
        return files["text"].path.name
    pool = pool_preset(own) if preset.loader == _OWN else preset
    return "the embedded world's prose" if pool is not None and pool.loader == "world" else "embedded English prose"


def _extras(preset: Dataset, facts: Facts) -> dict[str, SourceFile]:
    for role in facts.extras:
        if role not in preset.extras:
            near = params.did_you_mean(role, list(preset.extras))
            roles = ", ".join(preset.extras) or "none, which is all this dataset has"
            raise InputError(f"facts.extras: wanted some of {roles}; found {role!r}{near}")
    return {role: preset.extras[role] for role in facts.extras}


def pool_preset(own: Own) -> Dataset | None:
    """The preset of the dataset that own.pool names. Raises InputError with the nearest name where there is none."""
    pools = [*(name for name in params.presets("datasets") if name != _OWN), NO_POOL]
    if own.pool not in pools:
        near = params.did_you_mean(own.pool, pools)
        raise InputError(f"own.pool: wanted one of {', '.join(pools)}; found {own.pool!r}{near}")
    return None if own.pool == NO_POOL else params.preset("datasets", own.pool, Dataset)
