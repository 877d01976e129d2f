"""Contexts in which keys are read: sampled openings before the prompt (ROME and MEMIT draw them differently)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.generation.engine import Prompt, Sampling
from lib.generation.texts import TransformersGenerator
from lib.models.control import Rendered
from lib.models.tokens import prompt_ids

OPENINGS = ("The", "Therefore", "Because", "I", "You")
_TOP_K = 5


def rome_contexts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lengths: Sequence[int], seed: int
) -> list[list[str]]:
    """One group: the bare prompt, and a text sampled from nothing of each length (tokens) before it.

    As released, the end-of-text token that a text continues counts: length 5 draws four tokens.
    """
    prompt = Rendered(tokenizer.decode([tokenizer.eos_token_id]))
    texts = [""] * len(lengths)
    for length in sorted(set(lengths)):
        positions = [position for position, size in enumerate(lengths) if size == length]
        samples = _sampled(
            model, tokenizer, [Prompt(text=prompt, seed=seed + position) for position in positions], length - 1
        )
        for index, text in zip(positions, samples, strict=True):
            texts[index] = text
    return [["{}", *(_context(text) for text in texts)]]


def memit_contexts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, length: int, seed: int, *, opening_counts: bool = False
) -> list[list[str]]:
    """Two groups: the bare prompt, and a sampled continuation of each of OPENINGS before it.

    `length` tokens are drawn, or, where the opening counts, so many that it and they are `length` together.
    """
    prompts = [Prompt(text=opening, seed=seed + index) for index, opening in enumerate(OPENINGS)]
    sizes = [length - len(prompt_ids(tokenizer, opening)) * opening_counts for opening in OPENINGS]
    texts = [""] * len(OPENINGS)
    for count in sorted({count for count in sizes if count > 0}):
        positions = [position for position, size in enumerate(sizes) if size == count]
        samples = _sampled(model, tokenizer, [prompts[position] for position in positions], count)
        for index, text in zip(positions, samples, strict=True):
            texts[index] = text
    return [["{}"], [_context(opening + text) for opening, text in zip(OPENINGS, texts, strict=True)]]


def _sampled(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], length: int
) -> list[str]:
    sampling = Sampling(max_tokens=length, temperature=1.0, top_k=_TOP_K)
    return TransformersGenerator(model, tokenizer).generate("", prompts, sampling)


def _context(text: str) -> str:
    """A sampled text as a context; braces in it would be taken for the prompt's place."""
    return text.replace("{", " ").replace("}", " ").strip() + ". {}"


def group_means(values: Tensor, requests: int, groups: Sequence[Sequence[str]]) -> Tensor:
    """The mean over groups of the mean over a group's contexts: [requests * contexts, d] -> [requests, d].

    Rows are request after request, each with its contexts in the order of the groups.
    """
    by_request = values.view(requests, sum(map(len, groups)), -1)
    parts = torch.split(by_request, [len(group) for group in groups], dim=1)
    return torch.stack([part.mean(dim=1) for part in parts]).mean(dim=0)
