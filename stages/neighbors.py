"""Stage `neighbors`: for each edit, unedited facts of the pool to train beside it, none of which it is scored on."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from lib.encoders import encoder
from lib.overlap import without_overlap
from lib.params import Neighbors, section
from lib.records import Fact, Neighbor, Request, read, write
from lib.retrieval import figures, random_neighbors, similar_neighbors
from lib.stage import progress, rounded, run, write_json


def main() -> None:
    """Read params.yaml, edits and pool; write the neighbors, and how many facts the overlap filter dropped."""
    options, params = _options(), section("neighbors", Neighbors)
    if params.kind == "none":
        write(options.neighbors, Neighbor, [])
        write_json(options.metrics, figures([], [], params.n))
        return
    requests, pool = read(options.edits, Request), read(options.pool, Fact)
    usable = without_overlap(requests, pool)
    drawn = _neighbors(requests, usable.kept, params)
    found = list(progress(drawn, "neighbors", total=params.n * len(requests)))
    write(options.neighbors, Neighbor, found)
    dropped = {f"dropped_{reason}": number for reason, number in usable.dropped.items()}
    counts = {"pool": len(pool), "kept": len(usable.kept), **dropped, **figures(requests, found, params.n)}
    write_json(options.metrics, {name: rounded(value) for name, value in counts.items()})


def _neighbors(requests: Sequence[Request], pool: Sequence[Fact], params: Neighbors) -> Iterator[Neighbor]:
    if params.kind == "random":
        return random_neighbors(requests, pool, params.n, params.seed)
    from lib.base_model import device  # here, because it takes seconds that random neighbors need not wait for

    return similar_neighbors(requests, pool, params.n, encoder(params.encoder, str(device())), params.index)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("edits", "pool", "neighbors", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
