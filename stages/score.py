"""Stage `score`: what the model says of every evaluation prompt, before and after the edit. Metrics come later."""

import argparse
import sys
import time
from pathlib import Path

from lib import base_model, params
from lib.artefact import load_edit
from lib.distributed import world
from lib.edit import applied
from lib.launch import relaunch
from lib.machine import peak_memory_mib
from lib.records import Generation, Request, Score, read, write
from lib.scoring import Scorer
from lib.scratch import code_fingerprint, fingerprint, scratch
from lib.stage import progress, rounded, run, write_json


def main() -> None:
    """Read params.yaml, the edits, the model and the edit; write one row a prompt and target, and continuations."""
    relaunch("stages.score", sys.argv[1:])
    options = _options()
    began = time.perf_counter()
    settings = params.section("score", params.Scoring)
    requests = read(options.edits, Request)
    key = fingerprint(edits=options.edits, base=options.model, score=settings.model_dump(), code=code_fingerprint())
    with world() as processes, scratch("score", key, lock=processes.first) as folder:
        model = base_model.load_model(options.model, base_model.device())
        scorer = Scorer(
            model=model,
            tokenizer=base_model.load_tokenizer(options.model),
            requests=requests,
            settings=settings,
            world=processes,
            progress=lambda batches: progress(batches, "score: batches") if processes.first else batches,
        )
        before, said_before = scorer.remembered("before", folder)
        with applied(model, load_edit(options.edit)):
            after, said_after = scorer.run("after")
        if processes.first:
            write(options.scores, Score, [*before, *after])
            write(options.generations, Generation, [*said_before, *said_after])
            write_json(
                options.metrics,
                {
                    "rows": len(before) + len(after),
                    "device": model.device.type,
                    "dtype": str(model.dtype).removeprefix("torch."),
                    "seconds": rounded(time.perf_counter() - began, 1),
                    **peak_memory_mib(),
                },
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("edits", "model", "edit", "scores", "generations", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
