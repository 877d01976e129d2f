"""Stage `paraphrase`: training paraphrases of every request, written by the unedited model itself.

For requests whose dataset has no generalization prompts it writes those, too, into a table of their own. What the model
wrote stays in .scratch/paraphrase, where another run finds what it needs of it, also with another para.n; `make clean`
removes it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
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

_KEPT_CACHES = 8
"""Models, or versions of the code, whose continuations stay in .scratch: those of the latest runs."""


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the requests and the model; write the paraphrases and what became of all candidates."""
    from lib.generation.backends import backend_of
    from lib.paraphrases import ray_chunks
    from lib.paraphrases.candidates import given, valid_share
    from lib.paraphrases.chunks import contents
    from lib.paraphrases.cleaning import clean
    from lib.paraphrases.evaluation import evaluation_chunks, evaluation_paraphrases, evaluation_prompts

    root = read_root()
    preset = params.preset("models", root.model, params.Model)
    para = params.with_method(root.para, params.with_recipe(root.train, preset.train))
    if not ray_chunks.requested():
        relaunch("stages.paraphrase", sys.argv[1:], para.tensor_parallel)
        take_own_gpus(para.tensor_parallel)
    requests = read(options.requests, Request)
    engine = {"backend": para.backend, "tensor_parallel": para.tensor_parallel}
    key = fingerprint(**engine, base=options.model, code=code_fingerprint("stages.paraphrase"))
    with scratch("paraphrase", key, lock=is_first()) as folder:
        evaluation, training = evaluation_chunks(requests, para, folder), _chunks(requests, para, folder)
        cached = _complete([*evaluation, *training], para, options.model)
        if not is_first():
            return
        evaluated = evaluation_paraphrases(requests, contents(evaluation), para)
        candidates = [*(given(requests) if para.method != "none" else []), *contents(training)]
        keep_recent(folder, _KEPT_CACHES)
    prompts = evaluation_prompts(evaluated.paraphrases)
    cleaned = clean(scored_on(requests, prompts), candidates, para.n, para.method)
    write(options.evaluation, EvaluationPrompt, prompts)
    write(options.paraphrases, Paraphrase, cleaned.paraphrases)
    values = {
        "kept": len(cleaned.paraphrases),
        "shortfall": cleaned.shortfall,
        "evaluation": len(prompts),
        "evaluation_shortfall": evaluated.shortfall,
        "backend": backend_of(para) if training or evaluation else None,
    }
    valid = valid_share(candidates, requests, read(options.pool, Fact))
    shares = {"fewshot_valid": valid, "prefix_cached": cached}
    percents = {name: rounded(100 * share, 2) for name, share in shares.items() if share is not None}
    write_json(options.metrics, values | percents)
    details = {
        "candidates": len(candidates),
        "kept_fewshot": sum(paraphrase.kind == "fewshot" for paraphrase in cleaned.paraphrases),
        "dropped": dict(cleaned.dropped),
    }
    write_json(options.results, details)


def _chunks(requests: Sequence[Request], para: params.Para, folder: Path) -> list[Chunk]:
    """What the model is to write; nothing where it is not asked to."""
    from lib.paraphrases.chunks import chunks_of

    return [] if para.method in ("given", "none") else chunks_of(requests, para, folder)


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
