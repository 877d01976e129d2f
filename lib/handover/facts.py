"""A person's facts, read and checked as stage `facts` does it, without the pipeline."""

from pathlib import Path

from lib import datasets
from lib.core.params import Dataset, Facts, Own, preset, section
from lib.data import edits
from lib.data.dataset import Loaded

_NO_POOL = "none"


def loaded_facts(path: Path, pool: str = _NO_POOL, pool_limit: int | None = None) -> Loaded:
    """The facts of a file, row by row, with the pool and the plain text of the dataset `pool`.

    Raises InputError where the file is none of facts, or has other columns.
    """
    facts = section("facts", Facts).model_copy(update={"limit": None, "pool_limit": pool_limit})
    own, values = Own(path=str(path), pool=pool), preset("datasets", "own", Dataset)
    files = {role: source.path for role, source in datasets.find(values, facts, own).items()}
    return datasets.load(values.loader, files, facts, values, own)


def checked_facts(path: Path, pool: str = _NO_POOL, pool_limit: int | None = None) -> Loaded:
    """The same; an edit that cannot be made, or that another one contradicts or repeats, is a reject. Raises alike."""
    return edits.checked(loaded_facts(path, pool, pool_limit)).loaded
