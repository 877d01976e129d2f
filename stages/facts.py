"""Stage `facts`: a dataset's files, or the embedded world, become edits, a pool of unedited facts, and plain text."""

import argparse
import logging
from collections.abc import Sequence
from typing import Any

from lib import datasets
from lib.core import params
from lib.core.files import write_json
from lib.core.records import Fact, Reject, Request, Text
from lib.core.root import Params, read_root
from lib.core.run import file_options, run_stage
from lib.core.tables import write
from lib.data import dataset, edits
from lib.data.sources import Source


def main(options: argparse.Namespace) -> None:
    """Read params.yaml and the dataset's files; write what was read, and the rows that could not be used."""
    root = read_root(*Params.model_fields)
    for line in root.score.left_out:
        logging.getLogger(__name__).warning(line)
    facts, own = root.facts, params.with_pool(root.own, params.preset("models", root.model, params.Model))
    preset = params.preset("datasets", root.dataset, params.Dataset)
    files = datasets.find(preset, facts, own)
    paths = {role: file.path for role, file in files.items()}
    check = edits.checked_in_full(lambda limited: datasets.load(preset.loader, paths, limited, preset, own), facts)
    loaded = check.loaded
    dataset.tell(loaded)
    write(options.rejects, Reject, loaded.rejects)
    dataset.check(loaded, facts.max_reject_share, options.rejects)
    dataset.check_pool(loaded, root.dataset, facts.edits, own.pool, root.neighbors)
    write_json(
        options.sources,
        {role: _described(file, loaded.notes_of.get(file.path.name, ())) for role, file in files.items()},
    )
    counts: dict[str, Any] = {
        "requests": write(options.requests, Request, loaded.requests),
        "pool": write(options.pool, Fact, loaded.pool),
        "text": write(options.text, Text, loaded.text),
        "text_heldout": sum(piece.split == "heldout" for piece in loaded.text),
        "text_source": datasets.text_source(preset, own, files),
        "rejects": len(loaded.rejects),
        **check.faults,
        "subjects_repeated": check.subjects_repeated,
        "rows": loaded.rows,
    }
    write_json(options.metrics, counts)


def _described(file: Source, notes: Sequence[str]) -> dict[str, Any]:
    """What sources.json says of a file: its name, its hash, its size, and what was ignored in it or taken otherwise."""
    return {"file": file.path.name, "sha256": file.sha256, "bytes": file.size, "notes": list(notes)}


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "requests", "pool", "text", "rejects", "sources", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
