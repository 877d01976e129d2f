"""Stage `knowledge`: which facts of the pool the unedited model knows, where only known facts are worked with.

The pool of one's own facts (own.pool) and the model are the same whatever those facts are, so DVC takes the answers, a
matter of minutes, from its cache where another list of facts comes. Stage `recall` asks for everything else.
"""

import argparse
import sys

from lib.core import params
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
    root, answers = read_root(), {}
    if params.preset("datasets", root.dataset, params.Dataset).known != "none":
        from lib.scoring.recall import asked

        pairs = statements([], read(options.pool, Fact))
        answers = asked(options.model, pairs, root.recall.micro_batch_tokens, "knowledge")
    if is_first():
        write_json(options.metrics, write_answers(options.knowledge, answers))


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "pool", "model", "knowledge", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
