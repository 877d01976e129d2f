"""Stage `score`: what the edited model says of every evaluation prompt, beside what the unedited one says (`baseline`).

Three tables: the likelihood of every target, texts that the model writes, and the KL divergence of the next token after
locality prompts (whose unedited distributions are computed here, batch by batch: they are too large to keep). A
sequential run is scored at each of its checkpoints, texts are written at the end only. Single edits are made here, one
after another, each scored on its own prompts and dropped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib.core.files import write_json
from lib.core.params import Protocol
from lib.core.records import EvaluationPrompt, Generation, Score, TextNll, scored_on
from lib.core.root import read_root
from lib.core.run import file_options, progress, run_stage
from lib.core.tables import read, write
from lib.protocols.files import INPUTS, Inputs

if TYPE_CHECKING:
    from lib.protocols.job import Job
    from lib.scoring.scorer import Scorer, ScoreTables


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the requests, the model and the edit; write what was measured, row by row."""
    from lib.protocols.inputs import editing
    from lib.runtime.distributed import process_group
    from lib.runtime.launch import relaunch
    from lib.scoring.scorer import Scorer, ScoreTables

    relaunch("stages.score", sys.argv[1:])
    root, inputs = read_root(), Inputs.of(options)
    with process_group() as processes, editing(root, inputs, "score", processes, lambda steps: None) as (job, requests):
        scorer = Scorer(
            model=job.model,
            tokenizer=job.tokenizer,
            requests=scored_on(requests, read(options.evaluation, EvaluationPrompt)),
            settings=root.score,
            distributed=processes,
            progress=lambda batches, name: progress(batches, f"score: {name}") if processes.is_main else batches,
        )
        after = list(_after(scorer, job, root.protocol, options.edit))
        plain_texts = _plain_texts(scorer, options)
        if not processes.is_main:
            return
        before = ScoreTables(
            scores=read(options.scores_before, Score), generations=read(options.generations_before, Generation)
        )
        tables = ScoreTables.joined([before, *after])
        tables.write(options.scores, options.generations, options.divergences)
        write(options.text_nll, TextNll, [*read(options.text_nll_before, TextNll), *plain_texts])
        write_json(
            options.metrics,
            {
                "rows": len(tables.scores),
                "texts": len(tables.generations),
                "device": job.model.device.type,
                "dtype": str(job.model.dtype).removeprefix("torch."),
            },
        )


def _after(scorer: Scorer, job: Job, protocol: Protocol, folder: Path) -> Iterator[ScoreTables]:
    """The scores of every session: of a sequential run at each checkpoint, the edits so far; else of the whole run."""
    from lib.edits.store import load_edit, sessions
    from lib.protocols.single import edits_together

    if protocol.kind == "single":
        yield _single(scorer, job, edits_together(job, protocol))
        return
    *checkpoints, (last_number, last_folder) = sessions(folder, len(scorer.requests))
    for number, checkpoint in checkpoints:
        yield replace(scorer, requests=scorer.requests[:number]).after(load_edit(checkpoint), number, texts=False)
    yield scorer.after(load_edit(last_folder), last_number)


def _plain_texts(scorer: Scorer, options: argparse.Namespace) -> list[TextNll]:
    """How well the edited model predicts held-out text, after the last session; nothing where no edit is kept."""
    from lib.edits.apply import applied
    from lib.edits.store import load_edit, sessions, was_dropped
    from lib.scoring.plain_text import plain_text_rows

    if was_dropped(options.edit):
        return []
    _, last = sessions(options.edit, len(scorer.requests))[-1]
    with applied(scorer.model, load_edit(last)):
        return plain_text_rows(
            scorer.model, scorer.tokenizer, options.text, scorer.settings.plain_texts,
            scorer.settings.micro_batch_tokens, "after",
        )  # fmt: skip


def _single(scorer: Scorer, job: Job, together: int) -> ScoreTables:
    """Every request edited and scored alone; this process's share, then everybody's, in the order of the requests.

    Of a model that is spread every process has part in every request.
    """
    from lib.protocols.single import single
    from lib.runtime.distributed import Distributed
    from lib.scoring.scorer import ScoreTables

    processes = Distributed() if scorer.distributed.sharded else scorer.distributed
    share = list(enumerate(scorer.requests))[processes.rank :: processes.world_size]
    alone = replace(job, context=replace(job.context.quiet(), distributed=Distributed()))
    tables: list[tuple[int, ScoreTables]] = []
    edits = single(alone, [request for _, request in share], together)
    if scorer.distributed.is_main:
        edits = progress(edits, "score: single edits", total=len(share))
    for (index, _), (request, edit) in zip(share, edits, strict=True):
        own_scorer = replace(
            scorer,
            requests=[request],
            first_index=index,
            distributed=Distributed(),
            progress=lambda batches, name: batches,
        )
        tables.append((index, own_scorer.after(edit)))
    return ScoreTables.joined(table for _, table in sorted(processes.all_gather(tables), key=lambda pair: pair[0]))


def parser() -> argparse.ArgumentParser:
    """The stage's options; `-before` are the tables of stage baseline."""
    before = ("scores-before", "generations-before", "text-nll-before")
    after = ("scores", "generations", "divergences", "text-nll")
    return file_options(__doc__, *INPUTS, "evaluation", "edit", *before, *after, "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
