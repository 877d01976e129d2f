"""Stage `neighbors`: for each edit, unedited facts of the pool to train beside it, none of which it is scored on."""

import argparse
import logging
from collections.abc import Sequence

from lib.core.files import rounded, write_json
from lib.core.params import Neighbors
from lib.core.pool import check_pool
from lib.core.records import Fact, Request, UneditedFact
from lib.core.root import read_root
from lib.core.run import file_options, progress, run_stage
from lib.core.tables import RowNumbers, Streamed, read, write, write_parts
from lib.neighbors.encoders import encoder
from lib.neighbors.overlap import without_overlap
from lib.neighbors.retrieval import Retrieved, figures, neighbor_tables, random_neighbors, similar_neighbors
from lib.runtime.scratch import code_fingerprint, fingerprint, forget, scratch


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, edits and pool; write the neighbors, and how many facts the overlap filter dropped."""
    settings = read_root("neighbors").neighbors
    if settings.kind == "none":
        write(options.neighbors, UneditedFact, [])
        write_json(options.metrics, {"neighbors": 0, "shortfall": 0})
        return
    requests, pool = read(options.requests, Request), Streamed(path=options.pool, kind=Fact)
    usable = without_overlap(requests, pool)
    reason = f"of {len(pool):,} facts in the pool none is left that no evaluation prompt asks for"
    check_pool(settings, len(usable.rows), reason, "a larger pool (facts.limit, facts.pool_limit, own.pool)")
    retrieved = _retrieved(requests, pool, usable.rows, settings, options)
    write_parts(
        options.neighbors,
        UneditedFact,
        progress(neighbor_tables(requests, pool, retrieved), "neighbors: parts of the requests"),
    )
    dropped = {f"dropped_{reason}": number for reason, number in usable.dropped.items()}
    numbers = {"pool": len(pool), "kept": len(usable.rows), **dropped, **figures(retrieved, settings.n)}
    encoder_name = {"encoder": settings.encoder} if settings.kind == "similar" else {}
    write_json(options.metrics, {name: rounded(value) for name, value in numbers.items()} | encoder_name)
    if shortfall := numbers["shortfall"]:
        logging.getLogger(__name__).warning(
            "neighbors: %d of the %d facts that neighbors.n=%d asks for are not there: %d of the pool may be used",
            shortfall, settings.n * len(requests), settings.n, len(usable.rows),
        )  # fmt: skip


def _retrieved(
    requests: Sequence[Request], pool: Streamed, usable: RowNumbers, settings: Neighbors, options: argparse.Namespace
) -> Retrieved:
    if settings.kind == "random":
        return random_neighbors(requests, usable, settings.n, settings.seed)
    from lib.runtime.machine import device

    key = fingerprint(
        pool=options.pool, edits=options.requests, encoder=settings.encoder, code=code_fingerprint("stages.neighbors")
    )
    with scratch("neighbors", key) as folder:
        sentence_encoder = encoder(settings.encoder, str(device()))
        retrieved = similar_neighbors(requests, pool, usable, settings.n, sentence_encoder, settings.index, folder)
        forget(folder)
    return retrieved


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "requests", "pool", "neighbors", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
