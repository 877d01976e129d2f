"""Stage `score`: what the model says of every evaluation prompt, before and after the edit. Metrics come later.

A sequential run is scored at each of its checkpoints. Single edits are made here, one after another, each scored on
its own prompts and dropped.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lib import params
from lib.artefact import load_edit
from lib.distributed import World, world
from lib.edit import applied
from lib.editing import Inputs, editing
from lib.evaluation_paraphrases import scored_on
from lib.launch import relaunch
from lib.machine import peak_memory_mib
from lib.protocols import Job, edits_together, single
from lib.records import Generation, Paraphrase, Score, read, write
from lib.scoring import Scored, Scorer
from lib.scratch import code_fingerprint, fingerprint
from lib.shared_scratch import shared_scratch
from lib.stage import progress, rounded, run, write_json


def main() -> None:
    """Read params.yaml, the edits, the model and the edit; write one row a prompt and target, and continuations."""
    relaunch("stages.score", sys.argv[1:])
    options = _options()
    began = time.perf_counter()
    settings = params.section("score", params.Scoring)
    inputs = Inputs.of(options)
    key = fingerprint(
        edits=inputs.edits, evaluation=options.evaluation, base=inputs.model, score=settings.model_dump(),
        code=code_fingerprint(),
    )  # fmt: skip
    with world() as processes, editing(inputs, "score", processes, lambda steps: None) as (job, given):
        requests = scored_on(given, read(options.evaluation, Paraphrase))
        scorer = Scorer(
            model=job.model,
            tokenizer=job.tokenizer,
            requests=requests,
            settings=settings,
            world=processes,
            progress=lambda batches: progress(batches, "score: batches") if processes.first else batches,
        )
        with shared_scratch("score-before", key, processes) as folder:
            scored = scorer.remembered("before", folder)
        for more in _after(scorer, job, options.edit):
            scored = Scored(scores=scored.scores + more.scores, generations=scored.generations + more.generations)
        if processes.first:
            write(options.scores, Score, scored.scores)
            write(options.generations, Generation, scored.generations)
            write_json(
                options.metrics,
                {
                    "rows": len(scored.scores),
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
    checkpoints = sorted((folder / "checkpoints").glob("*"))
    for place in checkpoints:
        edit, number = load_edit(place), int(place.name)
        with applied(job.model, edit):
            yield replace(scorer, requests=scorer.requests[:number], contexts=edit.contexts).run("after", number)
    edit = load_edit(folder)
    with applied(job.model, edit):
        yield replace(scorer, contexts=edit.contexts).run("after", len(scorer.requests) if checkpoints else 0)


def _single(scorer: Scorer, job: Job, together: int) -> Scored:
    """Every request edited and scored alone; this process's share, then everybody's, in the order of the requests."""
    share = list(enumerate(scorer.requests))[scorer.world.rank :: scorer.world.size]
    alone = replace(job, context=replace(job.context, world=World(), progress=lambda steps: steps))
    rows: list[tuple[int, Scored]] = []
    made = single(alone, [request for _, request in share], together)
    shown = progress(made, "score: single edits", total=len(share)) if scorer.world.first else made
    for (place, _), (request, edit) in zip(share, shown, strict=True):
        with applied(job.model, edit):
            one = replace(
                scorer, requests=[request], contexts=edit.contexts, world=World(), progress=lambda batches: batches
            )
            rows.append((place, one.run("after", examples=place < scorer.settings.examples)))
    found = [one for _, one in sorted(scorer.world.gather(rows), key=lambda pair: pair[0])]
    return Scored(
        scores=[row for one in found for row in one.scores],
        generations=[row for one in found for row in one.generations],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    Inputs.add_to(parser)
    for name in ("evaluation", "edit", "scores", "generations", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
