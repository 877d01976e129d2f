"""Run by tests under torchrun: stage edit as one of several processes, with sections of params.yaml changed.

`python -m tests.helpers.edit_process CHANGES OPTIONS...`, where CHANGES is JSON. With DIE_AT in the environment,
process 1 kills itself before that step. Every process leaves the number of steps that it made in steps-<rank>.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lib.core import params
from lib.core.run import run_stage
from lib.methods.training import loop
from stages import edit
from tests.helpers.stages import SMALL

if __name__ == "__main__":
    changes, read, backward, steps = SMALL | json.loads(sys.argv.pop(1)), params.read_params, loop._backward, 0
    rank = os.environ.get("RANK", "0")

    def changed_params(path: Path = params.PARAMS_FILE) -> dict[str, Any]:
        values = read(path)
        for section, change in changes.items() if path == params.PARAMS_FILE else ():
            values[section] = values[section] | change if isinstance(change, dict) else change
        return values

    def counted(*arguments: Any) -> float:
        global steps
        if rank == "1" and str(steps) == os.environ.get("DIE_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return backward(*arguments)

    params.read_params, loop._backward = changed_params, counted  # type: ignore[assignment]
    run_stage(edit.main, edit.parser())
    Path(os.environ["DVC_ROOT"], f"steps-{rank}").write_text(str(steps))
