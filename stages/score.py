"""Stage `score`: what the model says of every evaluation prompt, before and after the edit. Metrics come later.

Three tables: the likelihood of every target, texts that the model writes, and how far the edit moved the next word of
locality prompts. A sequential run is scored at each of its checkpoints, where nothing is written but at the end. Single
edits are made here, one after another, each scored on its own prompts and dropped.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.records import EvaluationPrompt, scored_on
from lib.core.run import progress, run
from lib.core.tables import read
from lib.edits.store import load_edit, sessions
from lib.protocols.inputs import Inputs, editing
from lib.protocols.job import Job
from lib.protocols.single import edits_together, single
from lib.runtime.distributed import Distributed, process_group
from lib.runtime.launch import relaunch
from lib.runtime.machine import peak_memory_mib
from lib.runtime.scratch import code_fingerprint, fingerprint, shared_scratch
from lib.scoring.scorer import Scored, Scorer


def main() -> None:
    """Read params.yaml, the edits, the model and the edit; write what was measured, row by row."""
    relaunch("stages.score", sys.argv[1:])
    options = _options()
    began = time.perf_counter()
    settings = params.section("score", params.Scoring)
    inputs = Inputs.of(options)
    key = fingerprint(
        edits=inputs.requests, evaluation=options.evaluation, base=inputs.model, score=settings.model_dump(),
        code=code_fingerprint(),
    )  # fmt: skip
    with process_group() as processes, editing(inputs, "score", processes, lambda steps: None) as (job, given):
        requests = scored_on(given, read(options.evaluation, EvaluationPrompt))
        scorer = Scorer(
            model=job.model,
            tokenizer=job.tokenizer,
            requests=requests,
            settings=settings,
            distributed=processes,
            progress=lambda batches, name: progress(batches, f"score: {name}") if processes.is_main else batches,
        )
        with shared_scratch("score-before", key, processes) as folder:
            before = scorer.remembered(folder)
        scored = Scored.of([before, *_after(scorer, job, options.edit)])
        if processes.is_main:
            scored.write(options.scores, options.generations, options.divergences)
            write_json(
                options.metrics,
                {
                    "rows": len(scored.scores),
                    "texts": len(scored.generations),
                    "device": job.model.device.type,
                    "dtype": str(job.model.dtype).removeprefix("torch."),
                    "seconds": rounded(time.perf_counter() - began, 1),
                    **peak_memory_mib(),
                },
            )


def _after(scorer: Scorer, job: Job, folder: Path) -> Iterator[Scored]:
    """The scores of every session: of a sequential run at each checkpoint, the edits so far; else of the whole run."""
    protocol = params.section("protocol", params.Protocol)
    if protocol.kind == "single":
        yield _single(scorer, job, edits_together(job, protocol))
        return
    *checkpoints, (last, whole) = sessions(folder, len(scorer.requests))
    for number, place in checkpoints:
        yield replace(scorer, requests=scorer.requests[:number]).after(load_edit(place), number, texts=False)
    yield scorer.after(load_edit(whole), last)


def _single(scorer: Scorer, job: Job, together: int) -> Scored:
    """Every request edited and scored alone; this process's share, then everybody's, in the order of the requests.

    Of a model that is spread every process has part in every request.
    """
    processes = Distributed() if scorer.distributed.sharded else scorer.distributed
    share = list(enumerate(scorer.requests))[processes.rank :: processes.world_size]
    alone = replace(job, context=replace(job.context, distributed=Distributed(), progress=lambda steps: steps))
    rows: list[tuple[int, Scored]] = []
    made = single(alone, [request for _, request in share], together)
    shown = progress(made, "score: single edits", total=len(share)) if scorer.distributed.is_main else made
    for (place, _), (request, edit) in zip(share, shown, strict=True):
        one = replace(
            scorer, requests=[request], place=place, distributed=Distributed(), progress=lambda batches, name: batches
        )
        rows.append((place, one.after(edit)))
    return Scored.of(one for _, one in sorted(processes.all_gather(rows), key=lambda pair: pair[0]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    Inputs.add_to(parser)
    for name in ("evaluation", "edit", "scores", "generations", "divergences", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
