"""Stage `score`: what the edited model says of every evaluation prompt, beside what the unedited one says (`baseline`).

Three tables: the likelihood of every target, texts that the model writes, and the KL divergence of the next token after
locality prompts (the unedited distributions are made of the hidden states that stage baseline keeps). A sequential run
is scored at each of its checkpoints, texts are written at the end only. Single edits are made here, one after another,
each scored on its own prompts and dropped; what each changes in the weights is a table of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.core.files import write_json
from lib.core.records import EvaluationPrompt, Generation, Request, Score, TextNll, scored_on
from lib.core.root import Params, read_root
from lib.core.run import file_options, progress, run_stage
from lib.core.tables import read, write
from lib.core.usage import EDITING
from lib.protocols.files import INPUTS, Inputs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lib.protocols.job import Job
    from lib.protocols.scored_alone import SingleEdit
    from lib.scoring.scorer import Scorer
    from lib.scoring.states import UneditedScores
    from lib.scoring.tables import ScoreTables


def main(options: argparse.Namespace) -> dict[str, float]:
    """Read params.yaml, requests, model and edit; write what was measured; return what making single edits took."""
    from lib.edits.scope import scope_of
    from lib.protocols.inputs import editing
    from lib.protocols.weight_table import write_single_weights
    from lib.runtime.distributed import process_group
    from lib.runtime.launch import relaunch
    from lib.runtime.scratch import forget
    from lib.scoring.scorer import Scorer
    from lib.scoring.tables import ScoreTables

    relaunch("stages.score", sys.argv[1:])
    root, inputs = read_root(), Inputs.of(options)
    with process_group() as processes, editing(root, inputs, "score", processes, lambda steps: None) as (job, requests):
        requests = scored_on(requests, read(options.evaluation, EvaluationPrompt))
        alone, in_scope = root.protocol.kind == "single", dict[str, tuple[int, int]]()
        before, folder = cache(partial(_before, options, requests)), job.folder / _key(root, options)
        scorer = Scorer(
            model=job.model,
            tokenizer=job.tokenizer,
            requests=requests,
            settings=root.score,
            distributed=processes,
            progress=lambda batches, name: (
                progress(batches, f"score: {name}", size=len) if processes.is_main else batches
            ),
            folder=folder,
            unedited=before,
            scope=partial(scope_of, settings=root.scope, paraphrases=job.context.paraphrases),
            tell_scope=lambda counts: in_scope.update({} if alone else counts),  # of the last session
        )
        singles = _singles(scorer, job, root, folder) if alone else []
        after = [single.tables for single in singles] if alone else list(_after(scorer, options.edit))
        texts_before = read(options.text_nll_before, TextNll)
        texts_after = _plain_texts(scorer, texts_before, options)
        if not processes.is_main:
            return {}
        tables = ScoreTables.joined([before().tables, *after])
        _write_rows(options, tables, [*texts_before, *texts_after])
        write_json(options.metrics, _summary(tables, job.model) | ({"in_scope": in_scope} if in_scope else {}))
        write_single_weights(options.single_weights, [single.change for single in singles], root.weights)
        forget(job.folder)
        return {EDITING: round(sum(single.seconds for single in singles), 1)} if alone else {}


def _before(options: argparse.Namespace, requests: Sequence[Request]) -> UneditedScores:
    """What stage baseline measured."""
    from lib.scoring.states import LocalityStates, UneditedScores
    from lib.scoring.tables import ScoreTables

    scores, generations = read(options.scores_before, Score), read(options.generations_before, Generation)
    return UneditedScores(
        tables=ScoreTables(scores=scores, generations=generations),
        states=LocalityStates.read(options.states_before, requests),
    )


def _write_rows(options: argparse.Namespace, tables: ScoreTables, texts: Sequence[TextNll]) -> None:
    tables.write(options.scores, options.generations, options.divergences)
    write(options.text_nll, TextNll, texts)


def _summary(tables: ScoreTables, model: PreTrainedModel) -> dict[str, Any]:
    return {
        "rows": len(tables.scores),
        "texts": len(tables.generations),
        "device": model.device.type,
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def _key(root: Params, options: argparse.Namespace) -> str:
    """Names what this measurement is of, beside the job's own folder: what another one has left is not taken for it."""
    from lib.runtime.scratch import code_fingerprint, fingerprint

    return fingerprint(
        score=root.score.model_dump(exclude={"judge"}), weights=root.weights.model_dump(),
        scope=root.scope.model_dump(), evaluation=options.evaluation, edit=options.edit,
        code=code_fingerprint("stages.score"),
    )  # fmt: skip


def _singles(scorer: Scorer, job: Job, root: Params, folder: Path) -> list[SingleEdit]:
    """Every request edited, scored and measured alone."""
    from lib.edits.weight_change import Measure
    from lib.protocols.scored_alone import ScoredAlone
    from lib.protocols.single import edits_together

    weights = root.weights
    return ScoredAlone(
        scorer=scorer,
        job=job,
        together=edits_together(job, root.protocol),
        carries_on=root.protocol.mode == "published",
        measure=Measure(model=job.model, thresholds=weights.thresholds, rank_side=weights.rank_side),
        measured=weights.single_edits,
        folder=folder,
    ).results()


def _after(scorer: Scorer, folder: Path) -> Iterator[ScoreTables]:
    """The scores of every session: of a sequential run at each checkpoint, the edits so far; else of the whole run."""
    from lib.edits.store import load_edit, sessions

    *checkpoints, (last_number, last_folder) = sessions(folder, len(scorer.requests))
    for number, checkpoint in checkpoints:
        yield replace(scorer, requests=scorer.requests[:number]).after(load_edit(checkpoint), number, texts=False)
    yield scorer.after(load_edit(last_folder), last_number)


def _plain_texts(scorer: Scorer, before: Sequence[TextNll], options: argparse.Namespace) -> list[TextNll]:
    """How well the edited model predicts held-out text, after the last session; nothing where no edit is kept.

    A text that is out of the edit's scope has the unedited model's row.
    """
    from lib.edits.apply import applied
    from lib.edits.scope_classifier import ScopeClassifier
    from lib.edits.store import load_edit, sessions, was_dropped
    from lib.scoring.plain_text import plain_text_rows

    if was_dropped(options.edit):
        return []
    _, last = sessions(options.edit, len(scorer.requests))[-1]
    edit = scorer.scoped(load_edit(last))
    classifier = ScopeClassifier.of(edit, scorer.model.device.type)
    with applied(scorer.model, edit):
        rows = plain_text_rows(
            scorer.model, scorer.tokenizer, options.text, scorer.settings.plain_texts,
            scorer.settings.micro_batch_tokens, "after", scorer.progress, classifier.hold,
        )  # fmt: skip
    by_index = {row.index: row for row in rows}
    return [by_index.get(row.index, replace(row, when="after")) for row in before]


def parser() -> argparse.ArgumentParser:
    """The stage's options; `-before` are the tables of stage baseline."""
    before = ("scores-before", "generations-before", "states-before", "text-nll-before")
    after = ("scores", "generations", "divergences", "text-nll")
    return file_options(__doc__, *INPUTS, "evaluation", "edit", *before, *after, "single-weights", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
