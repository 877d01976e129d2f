"""Steps of the default with and without sharing what prompts begin with (lib/models/beginnings.py), by turns.

Works on what the pipeline has made (`make run`). A step's tokens are read once without gradients, as for the unedited
model, and once with, down to the first block that the default adapts; the heads, which sharing leaves as they are, are
in it.

    python -m bench.beginnings --root . --model models/base
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from bench.editors import paths_under
from lib.core.records import Request
from lib.core.root import read_root
from lib.edits.adapter import target_modules
from lib.methods.training.forms import Forms, FormSchedule, form_examples, forms, grouped
from lib.methods.training.held import kept_data
from lib.methods.training.sentences import sentences
from lib.models.check import packed_for
from lib.models.items import Item
from lib.models.likelihood import token_nll
from lib.protocols.files import Inputs
from lib.protocols.inputs import editing
from lib.protocols.job import Job
from lib.runtime.distributed import Distributed
from lib.runtime.scratch import forget

TOLERANCE = 1e-3
"""Nats by which a token's -log p may differ."""


def main() -> None:
    """Measure both by turns, check that they find the same, and print tokens and seconds of a step."""
    options = _options()
    root = read_root()
    inputs = Inputs(**{**paths_under(options.root), "model": options.model})
    with editing(root, inputs, "bench", Distributed(), lambda steps: None) as (job, requests):
        steps = _steps(job, requests, options.steps)
        seconds: dict[bool, list[float]] = {False: [], True: []}
        tokens: dict[bool, list[int]] = {False: [], True: []}
        adapted = job.model.get_submodule(next(iter(target_modules(job.model, job.context.lora)))).weight
        for items in steps:
            readings = {share: _read(job.model, items, share, adapted) for share in (False, True)}
            for share, (_, count, took) in readings.items():
                tokens[share].append(count)
                seconds[share].append(took)
            assert torch.allclose(readings[True][0], readings[False][0], atol=TOLERANCE), "the likelihoods differ"
        forget(job.folder)
    for share, name in ((False, "each prompt by itself"), (True, "beginnings shared")):
        print(f"{name}: {statistics.mean(tokens[share]):,.0f} tokens, {statistics.median(seconds[share]):.2f} s a step")
    ratios = [plain / shared for plain, shared in zip(seconds[False], seconds[True], strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), {len(steps)} steps")


def _steps(job: Job, requests: Sequence[Request], count: int) -> list[list[Item]]:
    """What the first steps of the default read, without the texts that it writes first: continuations, chat answers."""
    context = job.context
    assert context.held is not None, "wanted a model preset with the recipe of objective held"
    recipe = context.held.of_edits(len(requests), len(requests))
    counts = Forms(after_text=recipe.prefixed, words_left_out=recipe.words_left_out, questions=recipe.questions, seed=0)
    trained = forms(job.tokenizer, requests, context.paraphrases, sentences(context.texts), counts)
    nothing = {request.request_id: "" for request in requests}
    examples = list(form_examples(job.tokenizer, trained, nothing))
    beside = kept_data(job.tokenizer, requests, context, recipe, ()).per_step(job.tokenizer, recipe, 0)
    schedule = FormSchedule(
        epochs=1, lr=1.0, batch_size=recipe.batch_size, micro_batch_tokens=1, weight_decay=0.0, max_grad_norm=1.0,
        seed=0, groups=grouped(trained), plain_share=recipe.plain_share, paraphrase_share=recipe.paraphrase_share,
    )  # fmt: skip
    batches = ([*(examples[k] for k in schedule.batch(step, len(examples))), *beside(step)] for step in range(count))
    return [[example.item for example in batch] for batch in batches]


def _read(model: PreTrainedModel, items: Sequence[Item], share: bool, adapted: Tensor) -> tuple[Tensor, int, float]:
    """-log p of every target token, tokens that were read, and seconds."""
    packed = packed_for(model, items, share=share)
    began = time.perf_counter()
    with torch.no_grad():
        token_nll(model, packed)
    adapted.requires_grad_(True)
    nll = token_nll(model, packed)
    nll.mean().backward()  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - began
    adapted.requires_grad_(False)
    adapted.grad = None
    return nll.detach(), int((packed.item >= 0).sum()), seconds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(), help="the repository in which the pipeline has run")
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="the folder of stage base")
    parser.add_argument("--steps", type=int, default=5, help="the first so many steps")
    return parser.parse_args()


if __name__ == "__main__":
    main()
