"""Stage `recall`: what the unedited model knows, and the requests and the pool that the other stages work with.

Where the dataset's preset says `known`, facts that the model does not know are left out: an edit then corrects an
answer that was right, and what is trained beside it is what the model says. Elsewhere a sample of the facts is asked
for and nothing is left out. Facts of one's own that give no locality prompts get known facts of the pool.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from random import Random

from lib.core import params
from lib.core.errors import InputError
from lib.core.files import write_json
from lib.core.pool import check_pool
from lib.core.records import Fact, RecalledFact, Request
from lib.core.root import read_root
from lib.core.run import file_options, is_first, run_stage
from lib.core.tables import read, write


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the records and the model; write the records that stay, and what was asked."""
    from lib.runtime.distributed import wants_shards
    from lib.runtime.launch import relaunch
    from lib.scoring.known import only_known, write_answers

    if wants_shards():
        relaunch("stages.recall", sys.argv[1:])
    root = read_root("recall")
    keep = params.preset("datasets", root.dataset, params.Dataset).known
    requests, pool = read(options.requests, Request), read(options.pool, Fact)
    recall = _known(options, requests, pool, root.recall, everything=keep != "none")
    if not is_first():
        return
    if keep != "none":
        requests, pool = only_known(requests, pool, recall, root.facts.edits, requests_too=keep == "all")
        if not requests:
            raise InputError(
                "recall: the model knows none of the requests' true answers, so there is nothing to edit; take a "
                "larger model, or another dataset"
            )
        _check_pool(root.neighbors, len(pool), read(options.pool, Fact))
    locality: dict[str, int] = {}
    if keep == "pool":
        requests, locality = _with_locality(requests, pool, root.recall)
    counts = locality | {
        "requests": write(options.known_requests, Request, requests),
        "pool": write(options.known_pool, Fact, pool),
    }
    write_json(options.metrics, counts | write_answers(options.recall, recall))


def _with_locality(
    requests: list[Request], pool: list[Fact], settings: params.Recall
) -> tuple[list[Request], dict[str, int]]:
    """The requests with locality prompts of the pool where the file gives none, and how many are of which."""
    from lib.scoring.pool_locality import about_own_subject, with_pool_locality

    of_file = sum(len(request.locality) for request in requests)
    completed = with_pool_locality(requests, pool, settings.locality, settings.seed)
    of_pool = sum(len(request.locality) for request in completed) - of_file
    of_subject = about_own_subject(completed)
    if of_pool:
        without = sum(not request.locality for request in requests)
        logging.getLogger(__name__).info(
            "recall: %d known facts of the pool are locality prompts of the %d facts that give none; of all locality "
            "prompts %d are about the subject of their own edit", of_pool, without, of_subject,
        )  # fmt: skip
    return completed, {"locality_of_file": of_file, "locality_of_pool": of_pool, "locality_of_subject": of_subject}


def _check_pool(neighbors: params.Neighbors, count: int, asked_for: Sequence[Fact]) -> None:
    """Raise InputError where the model knows no fact of the pool and neighbors are asked for; else warn if it is so."""
    reason = f"the model knows none of the {len(asked_for):,} facts of the pool"
    remedy = "model to one that knows some, own.pool to another dataset (almanac, world, counterfact, ...)"
    check_pool(neighbors, count, reason, remedy)
    if asked_for and not count:
        logging.getLogger(__name__).warning("recall: %s, so the pool of unedited facts is empty", reason)


def _known(
    options: argparse.Namespace, requests: list[Request], pool: list[Fact], settings: params.Recall, everything: bool
) -> dict[tuple[str, str], bool]:
    """By (prompt, true object) whether the model knows it; what stage knowledge has asked is not asked again."""
    from lib.scoring.known import statements
    from lib.scoring.recall import asked

    pairs = statements(requests, pool)
    if not everything and len(pairs) > settings.sample:
        pairs = Random(settings.seed).sample(pairs, settings.sample)
    answers = {(fact.prompt, fact.target): fact.is_known for fact in read(options.knowledge, RecalledFact)}
    new = [pair for pair in pairs if pair not in answers]
    answers |= asked(options.model, new, settings.micro_batch_tokens, "recall")
    return {pair: answers[pair] for pair in pairs}


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(
        __doc__, "requests", "pool", "knowledge", "model", "known-requests", "known-pool", "recall", "metrics"
    )


if __name__ == "__main__":
    run_stage(main, parser())
