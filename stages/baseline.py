"""Stage `baseline`: what the unedited model says of every evaluation prompt, and what it writes.

It depends on the model, the requests and their evaluation prompts alone, so that all runs that differ in the edit share
one measurement. Stage `score` puts it beside that of the edited model.
"""

import argparse
import sys
import time
from pathlib import Path

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.records import EvaluationPrompt, Request, TextNll, scored_on
from lib.core.run import progress, run
from lib.core.tables import read, write
from lib.models import loading
from lib.runtime.distributed import process_group
from lib.runtime.launch import relaunch
from lib.runtime.machine import device, peak_memory_mib
from lib.scoring.plain_text import plain_text_rows
from lib.scoring.scorer import Scorer


def main() -> None:
    """Read params.yaml, the requests and the model; write the rows of scores and texts before the edit."""
    relaunch("stages.baseline", sys.argv[1:])
    options = _options()
    began = time.perf_counter()
    with process_group() as processes:
        scorer = Scorer(
            model=loading.load_model(options.model, device(), processes),
            tokenizer=loading.load_tokenizer(options.model),
            requests=scored_on(read(options.requests, Request), read(options.evaluation, EvaluationPrompt)),
            settings=params.section("score", params.Scoring),
            distributed=processes,
            progress=lambda batches, name: progress(batches, f"baseline: {name}") if processes.is_main else batches,
        )
        tables = scorer.before()
        plain_texts = plain_text_rows(
            scorer.model, scorer.tokenizer, options.text, scorer.settings.plain_texts,
            scorer.settings.micro_batch_tokens, "before",
        )  # fmt: skip
        if processes.is_main:
            tables.write(options.scores, options.generations)
            write(options.text_nll, TextNll, plain_texts)
            write_json(
                options.metrics,
                {
                    "rows": len(tables.scores),
                    "texts": len(tables.generations),
                    "seconds": rounded(time.perf_counter() - began, 1),
                    **peak_memory_mib(),
                },
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("requests", "evaluation", "text", "model", "scores", "generations", "text-nll", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
