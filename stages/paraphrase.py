"""Stage `paraphrase`: training paraphrases of every edit, written by the unedited model itself.

For edits whose dataset has no generalization prompts it writes those, too, into a table of their own.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.records import EvaluationPrompt, Fact, Paraphrase, Request, scored_on
from lib.core.run import progress, run
from lib.core.tables import read, write
from lib.generation.backends import generator
from lib.paraphrases import candidates, ray_chunks
from lib.paraphrases.chunks import Chunk, chunks_of, contents, make
from lib.paraphrases.cleaning import clean
from lib.paraphrases.evaluation import evaluation_chunks, evaluation_paraphrases, evaluation_prompts
from lib.runtime.launch import is_first, relaunch, take_own_gpus
from lib.runtime.scratch import code_fingerprint, fingerprint, scratch


def main() -> None:
    """Read params.yaml, the edits and the model; write the paraphrases and what became of all candidates."""
    para = params.section("para", params.Para)
    if not ray_chunks.wanted():
        relaunch("stages.paraphrase", sys.argv[1:], para.tensor_parallel)
        take_own_gpus(para.tensor_parallel)
    options = _options()
    began = time.perf_counter()
    requests = read(options.requests, Request)
    key = fingerprint(para=para.model_dump(), base=options.model, code=code_fingerprint())
    with scratch("paraphrase", key, lock=is_first()) as folder:
        evaluation, training = evaluation_chunks(requests, para, folder), chunks_of(requests, para, folder)
        cached = _generate([*evaluation, *training], para, options.model)
        if not is_first():
            return
        evaluated = evaluation_paraphrases(requests, contents(evaluation), para)
        found = contents(training)
    prompts = evaluation_prompts(evaluated.kept)
    cleaned = clean(scored_on(requests, prompts), found, para.n, para.method)
    write(options.evaluation, EvaluationPrompt, prompts)
    write(options.paraphrases, Paraphrase, cleaned.kept)
    values = {
        "kept": len(cleaned.kept),
        "kept_fewshot": sum(one.kind == "fewshot" for one in cleaned.kept),
        "shortfall": cleaned.shortfall,
        "candidates": len(found),
        "evaluation": len(prompts),
        "evaluation_shortfall": evaluated.shortfall,
        "dropped": dict(cleaned.dropped),
        "seconds": rounded(time.perf_counter() - began, 1),
    }
    valid = candidates.valid_share(found, requests, read(options.pool, Fact))
    shares = {"fewshot_valid": valid, "prefix_cached": cached}
    write_json(
        options.metrics, values | {name: rounded(100 * one, 2) for name, one in shares.items() if one is not None}
    )


def _generate(chunks: Sequence[Chunk], para: params.Para, base: Path) -> float | None:
    """Make the chunks that are missing; the share of prompt tokens that came from this engine's cache, if it tells."""
    if all(one.made for one in chunks):
        return None

    def shown(missing: Sequence[Chunk]) -> Iterator[Chunk]:
        return progress(missing, "paraphrase: chunks of edits")

    if ray_chunks.wanted():
        ray_chunks.make_on_ray(chunks, para, base, shown)
        return None
    with generator(para, base) as engine:
        make(chunks, engine, shown)
        return engine.prefix_cache_hit_rate()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("requests", "pool", "model", "paraphrases", "evaluation", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
