"""Edits by the default, each made alone: those that share what they read of the unedited model, and one at a time.

Works on what the pipeline has made (`make run`, or a row of a table). The first edit of a run reads what all share; so
the more edits, the larger the ratio. Chat answers are written once, before the clock starts on both sides.

    python -m bench.each_alone --root . --model models/base --edits 2
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.editors import paths_under
from bench.side_by_side import Benchmark, Measurement, compare, timed
from lib.core.records import Request
from lib.core.root import read_root
from lib.editors import lora
from lib.edits.edit import Edit
from lib.edits.updates import LowRank
from lib.protocols.files import Inputs
from lib.protocols.inputs import editing
from lib.protocols.job import Job, prepared
from lib.runtime.distributed import Distributed
from lib.runtime.scratch import forget


def errata(options: argparse.Namespace) -> Measurement:
    """`edit_each`, as protocol.kind=single asks for edits: one after another, sharing what they read."""
    return _measured(options, lambda job, requests: [
        edit for request in requests
        for edit in lora.edit_each(job.model, job.tokenizer, [request], job.settings, job.context.of([request]))
    ])  # fmt: skip


def one_at_a_time(options: argparse.Namespace) -> Measurement:
    """`edit`, once for each."""
    return _measured(options, lambda job, requests: [
        lora.edit(job.model, job.tokenizer, [request], job.settings, job.context.of([request])) for request in requests
    ])  # fmt: skip


def _measured(options: argparse.Namespace, edit: Callable[[Job, Sequence[Request]], Sequence[Edit]]) -> Measurement:
    root = read_root().model_copy(update={"editor": "lora"})
    inputs = Inputs(**{**paths_under(options.root), "model": options.model})
    with editing(root, inputs, "bench", Distributed(), lambda steps: None) as (job, requests):
        alone = replace(job.context, checkpoints=None, progress=lambda steps: steps)
        job = prepared(replace(job, context=alone))
        measurement = timed(lambda: _lengths(edit(job, requests[: options.edits])), min(options.edits, len(requests)))
        forget(job.folder)
    return measurement


def _lengths(edits: Sequence[Edit]) -> list[float]:
    """Of each edit the length of all that it adds."""
    return [
        sum(float(update.dense().square().sum()) for update in edit.updates.values() if isinstance(update, LowRank))
        ** 0.5
        for edit in edits
    ]


def main() -> None:
    """Parse options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(), help="the repository in which the pipeline has run")
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="the folder of stage base")
    parser.add_argument("--edits", type=int, default=2)
    sides = {"errata": errata, "one at a time": one_at_a_time}
    compare(Benchmark(title="The default, edits each alone", unit="edit", tolerance=5e-2, sides=sides), parser)


if __name__ == "__main__":
    main()
