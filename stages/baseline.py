"""Stage `baseline`: what the unedited model says of every evaluation prompt, and what it writes.

It depends on the model, the requests and their evaluation prompts alone, so that all runs that differ in the edit share
one measurement. Stage `score` puts it beside that of the edited model.
"""

import argparse
import sys

from lib.core.files import write_json
from lib.core.root import read_root
from lib.core.run import file_options, progress, run_stage


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the requests and the model; write rows of scores, texts and locality states before the edit."""
    from lib.core.records import EvaluationPrompt, Request, TextNll, scored_on
    from lib.core.tables import read, write
    from lib.models import loading
    from lib.runtime.distributed import process_group
    from lib.runtime.launch import relaunch
    from lib.runtime.machine import device
    from lib.runtime.scratch import code_fingerprint, fingerprint, forget, shared_scratch
    from lib.scoring.plain_text import plain_text_rows
    from lib.scoring.scorer import Scorer

    relaunch("stages.baseline", sys.argv[1:])
    settings = read_root("score").score
    files = {name: getattr(options, name) for name in ("requests", "evaluation", "model")}
    key = fingerprint(**files, score=settings.model_dump(exclude={"judge"}), code=code_fingerprint("stages.baseline"))
    with process_group() as processes, shared_scratch("baseline", key, processes) as folder:
        scorer = Scorer(
            model=loading.load_model(options.model, device(), processes),
            tokenizer=loading.load_tokenizer(options.model),
            requests=scored_on(read(options.requests, Request), read(options.evaluation, EvaluationPrompt)),
            settings=settings,
            distributed=processes,
            progress=lambda batches, name: (
                progress(batches, f"baseline: {name}", size=len) if processes.is_main else batches
            ),
            folder=folder,
        )
        unedited = scorer.before()
        plain_texts = plain_text_rows(
            scorer.model, scorer.tokenizer, options.text, settings.plain_texts, settings.micro_batch_tokens, "before",
            scorer.progress,
        )  # fmt: skip
        if processes.is_main:
            tables = unedited.tables
            tables.write(options.scores, options.generations)
            unedited.states.write(options.states)
            write(options.text_nll, TextNll, plain_texts)
            write_json(options.metrics, {"rows": len(tables.scores), "texts": len(tables.generations)})
            forget(folder)


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(
        __doc__, "requests", "evaluation", "text", "model", "scores", "generations", "states", "text-nll", "metrics"
    )


if __name__ == "__main__":
    run_stage(main, parser())
