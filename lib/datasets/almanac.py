"""The almanac (lib/data/almanac.py): real facts, in files that come with the code; splits of its own."""

from collections.abc import Mapping
from pathlib import Path

from lib.core.params import Dataset, Facts, Own
from lib.data import almanac
from lib.data.dataset import Loaded, order
from lib.data.plain_text import plain_text


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """An edit of every fact of the chosen split, and a pool of facts of other subjects.

    facts.limit chooses among the facts that the model knows, which is not for a reader to find out: it takes none of
    these edits away, but for limit 0, where nothing is edited and the pool is the whole almanac.
    """
    requests = almanac.requests(facts.split, facts.seed) if facts.edits != 0 else []
    return Loaded(
        requests=[requests[index] for index in order(len(requests), facts)],
        pool=almanac.pool(facts.seed, edited=bool(requests)),
        text=plain_text(files, facts),
        rejects=[],
        rows_of={},
    )
