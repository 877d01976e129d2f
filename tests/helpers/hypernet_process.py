"""Run by tests, also under torchrun: stage hypernet on a tiny model, as one of the processes that there are.

`python -m tests.helpers.hypernet_process EDITOR OPTIONS...`; the inputs lie where the options say.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from lib.core import params
from lib.core.run import run_stage
from lib.methods.hypernets import learning
from lib.models import loading
from stages import hypernet
from tests.helpers.hypernets import quick
from tests.helpers.models import byte_tokenizer, tiny_model

_STEPS = {"steps": 7, "batch_size": 5, "hidden": 3}
TRAINING = {"mend": _STEPS, "ke": _STEPS, "rledit": {"streams": 3, "turns": 2, "batch_size": 5}}
MICRO_BATCH_TOKENS = 300
"""Two or three cases a micro-batch: of the last one of a step one process has none."""

if __name__ == "__main__":
    name, read, descend = sys.argv.pop(1), params.read_params, learning._Run.step

    def changed_params(path: Path = params.PARAMS_FILE) -> dict[str, Any]:
        values = read(path)
        if path == params.PARAMS_FILE:
            values |= {"editor": name}
            values["train"] |= {"micro_batch_tokens": MICRO_BATCH_TOKENS, "checkpoint_steps": 2}
        return values

    def step(run: Any, cases: Any) -> None:
        if os.environ.get("RANK") == "1" and str(run.done) == os.environ.get("DIE_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
        descend(run, cases)

    params.read_params, learning._Run.step = changed_params, step  # type: ignore[assignment, method-assign]
    hypernet.editor_preset = lambda *_: quick(name, **TRAINING[name])  # type: ignore[attr-defined]
    loading.load_model = lambda *_, **__: tiny_model("llama")
    loading.load_tokenizer = lambda base: byte_tokenizer()
    run_stage(hypernet.main, hypernet.parser())
