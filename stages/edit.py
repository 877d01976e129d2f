"""Stage `edit`: an editor turns the requests into an Edit; the model itself stays as it was.

With protocol.kind=single nothing is kept: every edit is scored right after it is made, in stage `score`. What an edit
changes in the weights is measured here: after every session, or at the checkpoints where there are many.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.core.files import rounded, write_json
from lib.core.root import Params, read_root
from lib.core.run import file_options, run_stage
from lib.core.usage import REUSED
from lib.protocols.files import INPUTS, Inputs

if TYPE_CHECKING:
    from lib.core.records import Request
    from lib.edits.edit import Edit
    from lib.methods.training.loop import Step
    from lib.protocols.job import Job
    from lib.protocols.weight_table import WeightTable


def main(options: argparse.Namespace) -> dict[str, float]:
    """Read params.yaml and the inputs; write the edit, its training curve, its weight change and its figures.

    Returns the seconds of what an earlier run had stored (lib/methods/locating/values.py), where there is such.
    """
    from lib.edits.store import clear_edit, save_edit
    from lib.protocols.curve import Curve
    from lib.protocols.inputs import editing, model_preset
    from lib.protocols.weight_table import WeightTable, summary, write_weights
    from lib.runtime.distributed import process_group
    from lib.runtime.launch import relaunch
    from lib.runtime.scratch import forget

    relaunch("stages.edit", sys.argv[1:])
    root = read_root("train", "protocol", "regularize", "weights")
    if root.protocol.kind == "single":
        _write_nothing(options, root)
        return {}
    inputs = Inputs.of(options)
    with process_group() as processes:
        curve = Curve(options.curve if processes.is_main else None)
        with editing(root, inputs, "edit", processes, curve.add) as (job, requests):
            if processes.is_main:
                clear_edit(options.edit)
            table = WeightTable.of(job.model, root.weights, job.folder, processes)
            edit = _edited(job, requests, root, options.edit, table)
            curve.finish()
            if processes.is_main:
                save_edit(edit, options.edit, job.model, model_preset(root))
                write_weights(options.weights, options.maps, table.rows(), edit, root.weights, table.maps())
                write_json(options.metrics, _summary(edit, curve.steps, len(requests)))
                write_json(options.results, {"change": summary(table.rows()), "settings": job.settings.model_dump()})
                forget(job.folder)
    reused = job.context.reused
    return {REUSED: round(sum(reused), 1)} if reused else {}


def _write_nothing(options: argparse.Namespace, root: Params) -> None:
    """What the stage leaves where single edits are made in stage `score`."""
    from lib.edits.store import save_dropped
    from lib.protocols.curve import Curve
    from lib.protocols.job import UNEDITED
    from lib.protocols.weight_table import write_weights

    save_dropped(options.edit)
    Curve(options.curve)
    write_weights(options.weights, options.maps, [], UNEDITED, root.weights)
    why = "none: single edits are made, scored and measured in stage score"
    write_json(options.metrics, {"edits": 0})
    write_json(options.results, {"kept": why, "change": {"note": why}})


def _edited(job: Job, requests: Sequence[Request], root: Params, folder: Path, table: WeightTable) -> Edit:
    from lib.edits.store import checkpoint, save_edit
    from lib.protocols.inputs import model_preset
    from lib.protocols.job import mass
    from lib.protocols.sequential import applied_in_turn, checkpoint_numbers, sequential, session_ends

    first, protocol = job.context.distributed.is_main, applied_in_turn(root.protocol)
    if protocol.kind == "mass":
        edit = mass(job, requests)
        table.add(len(requests), edit)
        return edit
    checkpoints, ends = checkpoint_numbers(protocol, len(requests)), session_ends(protocol, len(requests))

    def keep(done: int, edit: Edit) -> None:
        table.add(done, edit, with_maps=done in checkpoints[:-1])
        if first and done in checkpoints[:-1]:
            save_edit(edit, checkpoint(folder, done), job.model, model_preset(root))

    return sequential(job, requests, protocol, keep, ends if len(ends) <= table.settings.sessions else [])


def _summary(edit: Edit, steps: Sequence[Step], edits: int) -> Mapping[str, Any]:
    return {
        "edits": edits,
        "pairs": edit.info.get("pairs"),
        "linear_left_out": edit.info.get("linear_left_out"),
        "steps": len(steps),
        "loss": rounded(steps[-1].loss) if steps else None,
    }


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, *INPUTS, "edit", "curve", "weights", "maps", "metrics", "results")


if __name__ == "__main__":
    run_stage(main, parser())
