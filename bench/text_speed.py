"""Greedy answers to chat questions, by the decoding engine and by what a user would pick: `model.generate`, vLLM.

`generate` pads prompts of one batch of 16 on the left and generates until all of the batch have ended. It and
errata read the same prompts (about 45 tokens, of which 24 are the template's beginning) and must find the same tokens;
where two tokens are equally likely to the last bits they may differ, and a text with them from there on.

vLLM, with --vllm where it is installed, reads the same prompts; how many texts are the same is counted, as its
operations are not torch's to the last bits. Its engine runs in the side's own process, whose clock counts it, and
starts before the clock does.

    python -m bench.text_speed --model models/base --pool data/pool.parquet --prompts 30 [--vllm]
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bench.side_by_side import Benchmark, Measurement, OptionalSide, compare
from lib.core.records import Fact
from lib.core.tables import read
from lib.generation.decoding import continuations
from lib.generation.engine import EncodedPrompt, Prompt, greedy
from lib.generation.vllm import VllmGenerator, check_installed
from lib.models import loading
from lib.models.manifest import weights_folder
from lib.models.templates import around_question
from lib.models.tokens import prompt_ids
from lib.paraphrases import rewriting

_BATCH = 16
_CACHE_GIB = 1
"""vLLM's memory for keys and values, which it takes at its start: of SmolLM2-135M a token takes 45 KiB."""


def errata(options: argparse.Namespace) -> Measurement:
    """lib.generation.decoding: the template's beginning read once, slots that take the next text."""
    model, tokenizer = _loaded(options)
    prefix, prompts = _prompts(tokenizer, options)
    encoded = [
        EncodedPrompt(ids=ids, tokens=options.tokens, end=tokenizer.eos_token_id, prefix=prefix) for ids in prompts
    ]
    return _measured(lambda: continuations(model, encoded, greedy()), options)


def generate(options: argparse.Namespace) -> Measurement:
    """transformers' generate, batch after batch, padded on the left."""
    model, tokenizer = _loaded(options)
    _, prompts = _prompts(tokenizer, options)
    batches = [prompts[start : start + _BATCH] for start in range(0, len(prompts), _BATCH)]
    end = int(tokenizer.eos_token_id)
    return _measured(
        lambda: [text for batch in batches for text in _generated(model, batch, options.tokens, end)], options
    )


def vllm(options: argparse.Namespace) -> Measurement:
    """vLLM, by lib.generation.vllm: all prompts at once, the template's beginning from its prefix cache."""
    torch.set_num_threads(1)  # its own binding of threads is for processes that it starts
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # so that the clock counts its engine
    tokenizer = loading.load_tokenizer(options.model)
    before, following = _texts(tokenizer, options)
    prompts = [Prompt(text=text, seed=0) for text in following]
    length = max(len(ids) for ids in _prompts(tokenizer, options)[1]) + options.tokens
    began = time.process_time()
    with VllmGenerator(
        weights_folder(options.model), dtype="float32", max_length=length, seed=0, memory_gib=_CACHE_GIB
    ) as generator:
        start = time.process_time() - began
        measured = _measured(lambda: generator.generate_tokens(before, prompts, greedy(options.tokens)), options)
    return replace(measured, start_seconds=start)


def _generated(model: PreTrainedModel, batch: list[tuple[int, ...]], tokens: int, end: int) -> list[list[int]]:
    t = max(map(len, batch))
    ids = torch.tensor([[end] * (t - len(row)) + list(row) for row in batch])
    mask = torch.tensor([[0] * (t - len(row)) + [1] * len(row) for row in batch])
    rows = model.generate(ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False, pad_token_id=end)
    texts: list[list[int]] = rows[:, t:].tolist()
    return [text[: text.index(end) + 1] if end in text else text for text in texts]


def _loaded(options: argparse.Namespace) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    torch.set_num_threads(1)
    return loading.load_model(options.model, torch.device("cpu")), loading.load_tokenizer(options.model)


def _prompts(
    tokenizer: PreTrainedTokenizerBase, options: argparse.Namespace
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """What all questions begin with, and the questions, as tokens."""
    before, following = _texts(tokenizer, options)
    return tuple(prompt_ids(tokenizer, before)), [tuple(prompt_ids(tokenizer, before + text)) for text in following]


def _texts(tokenizer: PreTrainedTokenizerBase, options: argparse.Namespace) -> tuple[str, list[str]]:
    """What all questions begin with, and what of each comes after it."""
    before, after = around_question(tokenizer)
    facts = read(options.pool, Fact)[: options.prompts]
    return before, [rewriting.message(fact.prompt, 0) + after for fact in facts]


def _measured(work: Callable[[], list[list[int]]], options: argparse.Namespace) -> Measurement:
    """Seconds of processor time, which a shared core blurs less than those of the wall; values: all tokens."""
    began = time.process_time()
    texts = work()
    seconds = time.process_time() - began
    values = [float(token) for text in texts for token in (*text, *[-1] * (options.tokens - len(text)))]
    return Measurement(seconds=seconds, work=len(texts), values=values)


def main() -> None:
    """Parse options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="folder of stage base")
    parser.add_argument("--pool", type=Path, default=Path("data/pool.parquet"), help="facts that are asked about")
    parser.add_argument("--prompts", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, at most")
    parser.add_argument("--vllm", action="store_true", help="compare vLLM too, where it is installed")
    title = "Greedy answers to chat questions, float32, one thread"
    sides = {"errata": errata, "generate": generate}
    optional = {"vllm": OptionalSide(run=vllm, check=check_installed)}
    compare(Benchmark(title=title, unit="text", tolerance=0.0, sides=sides, optional=optional), parser)


if __name__ == "__main__":
    main()
