"""Stage `paraphrase`: training paraphrases of every request, by rules of grammar, or written by the unedited model.

For requests whose dataset has no generalization prompts it writes those, too, into a table of their own. What the model
wrote stays in .scratch/paraphrase, where another run finds what it needs of it, also with another para.n; `make clean`
removes it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.records import EvaluationPrompt, Fact, Paraphrase, Request, scored_on
from lib.core.root import read_root
from lib.core.run import file_options, is_first, progress, run_stage
from lib.core.tables import read, write
from lib.runtime.launch import relaunch, take_own_gpus
from lib.runtime.scratch import code_fingerprint, fingerprint, keep_recent, scratch

if TYPE_CHECKING:
    from lib.paraphrases.chunks import Chunk
    from lib.paraphrases.cleaning import Cleaned, DropReason

_KEPT_CACHES = 8
"""Models, or versions of the code, whose continuations stay in .scratch: those of the latest runs."""


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the requests and the model; write the paraphrases and what became of all candidates."""
    from lib.generation.backends import writer_of
    from lib.paraphrases import ray_chunks
    from lib.paraphrases.candidates import given, summary, valid_share
    from lib.paraphrases.cleaning import clean
    from lib.paraphrases.evaluation import evaluation_prompts

    root = read_root("para")
    preset = params.preset("models", root.model, params.Model)
    para = params.with_method(root.para, params.with_recipe(root.train, preset.train))
    if not ray_chunks.requested():
        relaunch("stages.paraphrase", sys.argv[1:], para.tensor_parallel)
        take_own_gpus(para.tensor_parallel)
    requests = read(options.requests, Request)
    writings = _writings(requests, para, options.model)
    if writings is None:
        return
    written, evaluated, far = _rewritten(requests, writings, para, options.model)
    candidates = [*(given(requests) if para.method != "none" else []), *written]
    prompts = evaluation_prompts(evaluated.paraphrases)
    cleaned = clean(scored_on(requests, prompts), candidates, para.n, para.method)
    write(options.evaluation, EvaluationPrompt, prompts)
    write(options.paraphrases, Paraphrase, cleaned.paraphrases)
    kept_by = Counter(paraphrase.kind for paraphrase in cleaned.paraphrases)
    logging.getLogger(__name__).info("paraphrase: %s", summary(requests, cleaned.paraphrases, evaluated))
    values = {
        "kept": len(cleaned.paraphrases),
        "shortfall": cleaned.shortfall,
        "evaluation": len(prompts),
        "evaluation_shortfall": evaluated.shortfall,
        "backend": writer_of(para) if writings.needed else None,
        **{f"kept_{kind}": count for kind, count in sorted(kept_by.items())},
    }
    valid = valid_share(candidates, requests, read(options.pool, Fact))
    shares = {"fewshot_valid": valid, "prefix_cached": writings.cached}
    percents = {name: rounded(100 * share, 2) for name, share in shares.items() if share is not None}
    write_json(options.metrics, values | percents)
    dropped = dict(cleaned.dropped + far)
    write_json(options.results, {"candidates": len(candidates), "kept_fewshot": kept_by["fewshot"], "dropped": dropped})


@dataclass(frozen=True, kw_only=True)
class Writings:
    """What the unedited model, or another writer, has written."""

    training: Sequence[Paraphrase]
    evaluation: Sequence[Paraphrase]
    needed: bool
    """Whether there was anything to write."""
    cached: float | None
    """The share of prompt tokens from the engine's prefix cache, where it reports one."""


def _writings(requests: Sequence[Request], para: params.Para, base: Path) -> Writings | None:
    """Everything that is to be written, out of .scratch as far as it is there; None in all processes but the first."""
    from lib.paraphrases.chunks import contents

    engine = {"backend": para.backend, "tensor_parallel": para.tensor_parallel, "writer": para.model}
    key = fingerprint(**engine, base=base, code=code_fingerprint("stages.paraphrase"))
    with scratch("paraphrase", key, lock=is_first()) as folder:
        evaluation, training = _chunks(requests, para, base, folder)
        cached = _complete([*evaluation, *training], para, base)
        if not is_first():
            return None
        writings = Writings(
            training=contents(training),
            evaluation=contents(evaluation),
            needed=bool(training or evaluation),
            cached=cached,
        )
        keep_recent(folder, _KEPT_CACHES)
    return writings


def _rewritten(
    requests: Sequence[Request], writings: Writings, para: params.Para, base: Path
) -> tuple[Sequence[Paraphrase], Cleaned, Counter[DropReason]]:
    """Candidates to train on, those that serve as generalization prompts, and why others are neither."""
    from lib.paraphrases.evaluation import evaluation_paraphrases
    from lib.paraphrases.nearness import evaluation_choice
    from lib.paraphrases.rewritten import REWRITING, near_rewritings

    if para.method not in REWRITING:
        return writings.training, evaluation_paraphrases(requests, writings.evaluation, para), Counter()
    near = near_rewritings(requests, writings.training, para, base, progress)
    return near.paraphrases, evaluation_choice(requests, near.paraphrases, para), near.dropped


def _chunks(
    requests: Sequence[Request], para: params.Para, base: Path, folder: Path
) -> tuple[list[Chunk], list[Chunk]]:
    """What the model is to write, for evaluation and for training; nothing where it is not asked to.

    What rewrites prompts serves both.
    """
    from lib.paraphrases.chunks import chunks_of
    from lib.paraphrases.evaluation import evaluation_chunks
    from lib.paraphrases.rewritten import REWRITING, rewriting_chunks

    if para.method in REWRITING:
        return [], rewriting_chunks(requests, para, base, folder)
    training = [] if para.method in ("given", "none") else chunks_of(requests, para, folder)
    return evaluation_chunks(requests, para, folder), training


def _complete(chunks: Sequence[Chunk], para: params.Para, base: Path) -> float | None:
    """Draw what the chunks lack; the share of prompt tokens from this engine's prefix cache, where it reports one."""
    if all(chunk.complete for chunk in chunks):
        return None
    # Imported here: where earlier runs have drawn everything, no model is loaded.
    from lib.generation.backends import generator
    from lib.paraphrases import ray_chunks
    from lib.paraphrases.chunks import complete

    def with_progress(incomplete: Sequence[Chunk]) -> Iterator[Chunk]:
        return progress(incomplete, "paraphrase: chunks of requests")

    if ray_chunks.requested():
        ray_chunks.complete_on_ray(chunks, para, base, with_progress)
        return None
    with generator(para, base) as engine:
        complete(chunks, engine, with_progress)
        return engine.prefix_cache_hit_rate()


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "requests", "pool", "model", "paraphrases", "evaluation", "metrics", "results")


if __name__ == "__main__":
    run_stage(main, parser())
