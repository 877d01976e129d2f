"""MEMIT's z of several requests of a real model: shared passes, and the loop of a published port.

Contexts are drawn before the clock starts, on both sides. The sides must report the same last loss of every request.

    python -m bench.z_speed --edits 6
"""

import argparse

from bench.published_search import published_loop
from bench.rome_speed import OPTIMISATION, edits_parser, loaded, requests
from bench.side_by_side import Benchmark, Measurement, compare, timed
from lib.methods.locating.contexts import memit_contexts
from lib.methods.locating.target_vectors import target_values
from lib.models.architecture import architecture

_SETTINGS = OPTIMISATION.model_copy(update={"steps": 25, "clamp": 0.75})
"""MEMIT's own, where they differ from ROME's."""
_DEPTH_SHARE = 0.3


def errata(options: argparse.Namespace) -> Measurement:
    """lib.methods.locating.target_vectors: all requests share passes."""
    model, tokenizer = loaded(options.model)
    contexts = [context for group in memit_contexts(model, tokenizer, 10, 0) for context in group]
    arch, edits = architecture(model), requests(options.edits)
    block = arch.block(round(_DEPTH_SHARE * arch.layers(model)))

    def work() -> list[float]:
        values = target_values(model, tokenizer, edits, block, "subject_last", contexts, _SETTINGS)
        return [trace[-1] for trace in values.loss]

    return timed(work, len(edits))


def published(options: argparse.Namespace) -> Measurement:
    """A request at a time, whole passes, log-probabilities of every position."""
    model, tokenizer = loaded(options.model)
    contexts = [context for group in memit_contexts(model, tokenizer, 10, 0) for context in group]
    arch, edits = architecture(model), requests(options.edits)
    block = arch.block(round(_DEPTH_SHARE * arch.layers(model)))

    def work() -> list[float]:
        searches = [published_loop(model, tokenizer, edit, block, contexts, _SETTINGS) for edit in edits]
        return [trace[-1] for _, trace in searches]

    return timed(work, len(edits))


def main() -> None:
    """Parse options and compare."""
    sides = {"errata": errata, "published": published}
    compare(
        Benchmark(title="MEMIT's z, float32", unit="request", tolerance=5e-3, sides=sides), edits_parser(__doc__, 6)
    )


if __name__ == "__main__":
    main()
