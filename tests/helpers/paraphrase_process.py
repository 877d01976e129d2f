"""Run by tests: stage paraphrase as one of several processes, with params.yaml changed, a chunk for every request.

`python -m tests.helpers.paraphrase_process CHANGES OPTIONS...`, where CHANGES is JSON. Every process appends the kind
and the prompt of each chunk that it draws to a file drawn-<rank>, and begins no second one before another process has
begun its first. With DIE in the environment, process 1 kills itself in the middle of its first, after one of the
other's is finished, and process 0 draws no more than two.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lib.core import params
from lib.core.records import Request
from lib.core.run import run_stage
from lib.generation.engine import Generator
from lib.paraphrases import chunks
from lib.paraphrases.draws import SampledText, SamplingPlan, draw
from stages import paraphrase
from tests.helpers.stages import small

if __name__ == "__main__":
    changes, read_params, rank = json.loads(sys.argv.pop(1)), params.read_params, os.environ.get("RANK", "0")
    folder = Path(os.environ["DVC_ROOT"])

    def changed_params(path: Path = params.PARAMS_FILE) -> dict[str, Any]:
        values = read_params(path)
        if path != params.PARAMS_FILE:
            return values
        values = small(values)
        for section, changed in changes.items():
            values[section] = values[section] | changed if isinstance(changed, dict) else changed
        return values

    def wait_for(pattern: str, count: int) -> None:
        while len(list(folder.glob(pattern))) < count:
            time.sleep(0.01)

    def drawn_chunks() -> list[str]:
        record = folder / f"drawn-{rank}"
        return record.read_text().splitlines() if record.is_file() else []

    def recorded_draw(
        requests: Sequence[Request], generator: Generator, plan: SamplingPlan, numbers: Sequence[int]
    ) -> list[SampledText]:
        if (folder / f"began-{rank}").exists():
            wait_for("began-*", int(os.environ.get("WORLD_SIZE", "1")))
        (folder / f"began-{rank}").touch()
        if rank == "0" and "DIE" in os.environ and len(drawn_chunks()) == 2:
            signal.pause()
        continuations = draw(requests, generator, plan, numbers)
        if rank == "1" and "DIE" in os.environ:
            wait_for(".scratch/paraphrase/*/*.parquet", 1)
            os.kill(os.getpid(), signal.SIGKILL)
        with (folder / f"drawn-{rank}").open("a") as stream:
            print(plan.kind, requests[0].prompt, plan.seed, file=stream)
        return continuations

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(params, "read_params", changed_params)
        patch.setattr(chunks, "draw", recorded_draw)
        patch.setattr(chunks, "CHUNK", 1)
        run_stage(paraphrase.main, paraphrase.parser())
