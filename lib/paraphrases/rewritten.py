"""Paraphrases that say a prompt in other words: asked of a chat model where rules give too few, and measured."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from lib.core.params import Para
from lib.core.records import Paraphrase, Request
from lib.models.loading import load_model, load_tokenizer
from lib.models.templates import has_template
from lib.paraphrases.candidates import by_rules, short_of_rules
from lib.paraphrases.chunks import Chunk, chunks_of
from lib.paraphrases.cleaning import Cleaned
from lib.paraphrases.nearness import distances, nearest
from lib.runtime.machine import device

REWRITING = ("rules", "chat", "rewrite")
"""para.method: those by which prompts are said in other words, and candidates are measured against them."""


class Progress(Protocol):
    """Passes on the values of a piece of work, which has `total` of them."""

    def __call__(self, items: Iterable[list[float]], description: str, total: int) -> Iterator[list[float]]: ...


def rewriting_chunks(requests: Sequence[Request], para: Para, base: Path, folder: Path) -> list[Chunk]:
    """What a chat model is to write, for training and for scoring.

    With para.method=rewrite it is asked where the dataset and the rules give too few paraphrases, if there is one.
    """
    if para.method == "rewrite" and para.model is None and not has_template(load_tokenizer(base)):
        logging.getLogger(__name__).info("paraphrase: %s has no chat template: rules alone rewrite prompts", base)
        return []
    return chunks_of(short_of_rules(requests, para) if para.method == "rewrite" else requests, para, folder)


def near_rewritings(
    requests: Sequence[Request], written: Sequence[Paraphrase], para: Para, base: Path, progress: Progress
) -> Cleaned:
    """Of what was written and, unless chat alone is to rewrite, of what rules make, what stays near the prompts.

    `base` is the folder of the unedited model, by which that is measured.
    """
    candidates = [*([] if para.method == "chat" else by_rules(requests)), *written]
    if not candidates:
        return Cleaned(paraphrases=[])
    model, tokenizer = load_model(base, device()), load_tokenizer(base)

    def measure(prompts: Sequence[str], texts: Sequence[Sequence[str]]) -> Iterator[list[float]]:
        values = distances(model, tokenizer, prompts, texts, para.micro_batch_tokens)
        return progress(values, "paraphrase: distances", total=len(prompts))

    return nearest(requests, candidates, para, measure)
