"""Stage `recall`: what the unedited model knows, and the requests and the pool that the other stages work with.

Where the dataset's preset says `known`, facts that the model does not know are left out: an edit then corrects an
answer that was right, and what is trained beside it is what the model says. Elsewhere a sample of the facts is asked
for and nothing is left out.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from lib.core import params
from lib.core.errors import InputError
from lib.core.files import rounded, write_json
from lib.core.pool import check_pool
from lib.core.records import Fact, Recall, Request
from lib.core.run import progress, run
from lib.core.tables import read, write
from lib.runtime.distributed import process_group, wants_shards
from lib.runtime.launch import relaunch


def main() -> None:
    """Read params.yaml, the records and the model; write the records that stay, and what was asked."""
    options = _options()
    if wants_shards():
        relaunch("stages.recall", sys.argv[1:])
    settings, facts = params.section("recall", params.Recall), params.section("facts", params.Facts)
    keep = params.preset("datasets", params.read_params()["dataset"], params.Dataset).known
    requests, pool = read(options.requests, Request), read(options.pool, Fact)
    recall, is_main = _known(options, requests, pool, settings, everything=keep != "none")
    if not is_main:
        return
    if keep != "none":
        from lib.scoring.recall import only_known

        requests, pool = only_known(requests, pool, recall, facts.limit, requests_too=keep == "all")
        if not requests:
            raise InputError(
                "recall: the model knows none of the requests' true answers, so there is nothing to edit; take a "
                "larger model, or another dataset"
            )
        _check_pool(len(pool), read(options.pool, Fact))
    answers = [Recall(prompt=prompt, target=target, is_known=answer) for (prompt, target), answer in recall.items()]
    write(options.recall, Recall, answers)
    write_json(
        options.metrics,
        {
            "requests": write(options.known_requests, Request, requests),
            "pool": write(options.known_pool, Fact, pool),
            "asked": len(recall),
            "known": rounded(100 * sum(recall.values()) / max(1, len(recall)), 2),
        },
    )


def _check_pool(count: int, asked_for: Sequence[Fact]) -> None:
    """Raise InputError where the model knows no fact of the pool and neighbors are asked for; else warn if it is so."""
    reason = f"the model knows none of the {len(asked_for):,} facts of the pool"
    remedy = "model to one that knows some, own.pool to another dataset (almanac, world, counterfact, ...)"
    check_pool(params.section("neighbors", params.Neighbors), count, reason, remedy)
    if asked_for and not count:
        logging.getLogger(__name__).warning("recall: %s, so the pool of unedited facts is empty", reason)


def _known(
    options: argparse.Namespace, requests: list[Request], pool: list[Fact], settings: params.Recall, everything: bool
) -> tuple[dict[tuple[str, str], bool], bool]:
    """By (prompt, true object) whether the model knows it, and whether this process writes the files."""
    # Imported here: --help, and a run that has nothing to ask, need not wait for these.
    from lib.models import loading
    from lib.runtime.machine import device
    from lib.scoring.recall import recalled, statements

    pairs = statements(requests, pool)
    if not everything and len(pairs) > settings.sample:
        pairs = Random(settings.seed).sample(pairs, settings.sample)
    with process_group() as processes:
        model = loading.load_model(options.model, device(), processes)
        with_progress = (lambda starts: progress(starts, "recall: 256 facts each")) if processes.is_main else iter
        tokenizer = loading.load_tokenizer(options.model)
        answers = recalled(model, tokenizer, pairs, settings.micro_batch_tokens, with_progress)
        return dict(zip(pairs, answers, strict=True)), processes.is_main


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("requests", "pool", "model", "known-requests", "known-pool", "recall", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
