"""Stage `edit`: an editor turns the requests into an Edit; the model itself stays as it was.

With protocol.kind=single nothing is kept: every edit is scored right after it is made, in stage `score`. What an edit
changes in the weights is measured here: after every session, or at the checkpoints where there are many.
"""

import argparse
import csv
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.records import Request
from lib.core.run import run
from lib.edits.edit import Edit
from lib.edits.store import checkpoint, clear_edit, save_dropped, save_edit
from lib.methods.training.loop import Step
from lib.protocols.inputs import Inputs, editing, model_preset
from lib.protocols.job import UNEDITED, Job, mass
from lib.protocols.sequential import checkpoint_numbers, sequential, session_ends
from lib.protocols.weight_table import WeightTable, summary, write_weights
from lib.runtime.distributed import process_group
from lib.runtime.launch import relaunch
from lib.runtime.machine import peak_memory_mib
from lib.runtime.scratch import forget


def main() -> None:
    """Read params.yaml and the inputs; write the edit, its training curve, its weight change and its figures."""
    relaunch("stages.edit", sys.argv[1:])
    options = _options()
    began = time.perf_counter()
    protocol, weights = params.section("protocol", params.Protocol), params.section("weights", params.Weights)
    steps: list[Step] = []
    if protocol.kind == "single":
        save_dropped(options.edit)
        _write_curve(options.curve, steps)
        write_weights(options.weights, options.maps, [], UNEDITED, weights)
        why = "none: single edits are made and scored in stage score"
        write_json(options.metrics, {"edits": 0})
        write_json(options.results, {"kept": why, "change": {"note": why}})
        return
    with process_group() as processes, editing(Inputs.of(options), "edit", processes, steps.extend) as (job, requests):
        if processes.is_main:
            clear_edit(options.edit)
        table = WeightTable.of(job.model, weights, job.folder, processes)
        edit = _edited(job, requests, protocol, options.edit, table)
        if processes.is_main:
            save_edit(edit, options.edit, job.model, model_preset())
            _write_curve(options.curve, steps)
            write_weights(options.weights, options.maps, table.rows(), edit, weights)
            seconds = time.perf_counter() - began
            write_json(options.metrics, _summary(edit, steps, len(requests), seconds))
            per_edit = rounded(seconds / max(len(requests), 1), 3)
            write_json(options.results, {"seconds_per_edit": per_edit, "change": summary(table.rows())})
            forget(job.folder)


def _edited(job: Job, requests: Sequence[Request], protocol: params.Protocol, folder: Path, table: WeightTable) -> Edit:
    first = job.context.distributed.is_main
    if protocol.kind == "mass":
        edit = mass(job, requests)
        table.add(len(requests), edit)
        return edit
    checkpoints, ends = checkpoint_numbers(protocol, len(requests)), session_ends(protocol, len(requests))

    def keep(done: int, edit: Edit) -> None:
        table.add(done, edit)
        if first and done in checkpoints[:-1]:
            save_edit(edit, checkpoint(folder, done), job.model, model_preset())

    return sequential(job, requests, protocol, keep, ends if len(ends) <= table.settings.sessions else [])


def _summary(edit: Edit, steps: Sequence[Step], edits: int, seconds: float) -> Mapping[str, Any]:
    return {
        "edits": edits,
        "pairs": edit.info.get("pairs"),
        "steps": len(steps),
        "loss": rounded(steps[-1].loss) if steps else None,
        "seconds": rounded(seconds, 1),
        **peak_memory_mib(),
    }


def _write_curve(path: Path, steps: Sequence[Step]) -> None:
    """One row a step over all sessions, counted on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["step", "epoch", "loss", "lr"])
        writer.writeheader()
        writer.writerows({**asdict(step), "step": index} for index, step in enumerate(steps))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    Inputs.add_to(parser)
    for name in ("edit", "curve", "weights", "maps", "metrics", "results"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
