"""The embedded world (lib/data/world.py): no files, splits of its own."""

from collections.abc import Mapping
from pathlib import Path

from lib.core.params import Dataset, Facts, Own
from lib.data import world
from lib.data.dataset import Loaded, order
from lib.data.plain_text import plain_text


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """The world of facts.seed: edits of the chosen split, a pool of the train split, its prose as text."""
    embedded = world.make_world(facts.seed)
    requests = world.requests(embedded, facts.split, facts.seed)
    return Loaded(
        requests=[requests[index] for index in order(len(requests), facts)[: facts.edits]],
        pool=world.pool(embedded),
        text=plain_text(files, facts) if "text" in files else world.text(facts.seed)[: facts.text_limit],
        rejects=[],
        rows_of={},
    )
