"""What is looked up for every prompt before it is scored: notes near it, and whether an edit is in force for it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.scope_classifier import ScopeClassifier
from lib.models.templates import has_template
from lib.scoring.prompts import ScoredPrompt, nothing_before, scored_prompts

_TOGETHER = 256
"""Prompts that are looked up at once."""


def asked_prompts(tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]) -> Iterator[ScoredPrompt]:
    """All prompts of the requests as they are asked: without template, and without what an edit puts before them."""
    template = (lambda question: question) if has_template(tokenizer) else None
    return scored_prompts(requests, nothing_before, template)


def look_up(
    prompts: Iterable[ScoredPrompt],
    consult: Callable[[Sequence[str]], None],
    progress: Callable[[Sequence[list[int]]], Iterable[list[int]]],
) -> None:
    """Have `consult` go through all prompts, many at a time; `progress` passes on the batches of their indices."""
    texts = [prompt.bare for prompt in prompts]
    indices = [*range(len(texts))]
    for part in progress([indices[start : start + _TOGETHER] for start in range(0, len(indices), _TOGETHER)]):
        consult([texts[index] for index in part])


def scope_counts(prompts: Iterable[ScoredPrompt], classifier: ScopeClassifier) -> dict[str, tuple[int, int]]:
    """Of each kind of prompt how many are in scope, and how many there are."""
    counts = Counter((prompt.kind, classifier.holds(prompt.bare)) for prompt in prompts)
    kinds = dict.fromkeys(kind for kind, _ in counts)
    return {kind: (counts[kind, True], counts[kind, True] + counts[kind, False]) for kind in kinds}
