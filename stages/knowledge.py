"""Stage `knowledge`: what the unedited model knows of the pool that every list of one's own facts shares (own.pool).

The pool and the model are the same whatever the facts are, so DVC takes the answers from its cache where another list
of facts comes: asking is a matter of minutes. For other datasets nothing is asked here but all in stage `recall`.
"""

import argparse
import sys

from lib.core.files import write_json
from lib.core.records import Fact
from lib.core.root import read_root
from lib.core.run import file_options, is_first, run_stage
from lib.core.tables import read


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the pool and the model; write which facts the model was asked for and knows."""
    from lib.runtime.distributed import wants_shards
    from lib.runtime.launch import relaunch
    from lib.scoring.known import statements, write_answers

    if wants_shards():
        relaunch("stages.knowledge", sys.argv[1:])
    answers = {}
    if pairs := statements([], read(options.shared_pool, Fact)):
        from lib.scoring.recall import asked

        answers = asked(options.model, pairs, read_root().recall.micro_batch_tokens, "knowledge")
    if is_first():
        write_json(options.metrics, write_answers(options.knowledge, answers))


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "shared-pool", "model", "knowledge", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
