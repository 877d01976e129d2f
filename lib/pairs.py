"""The training pairs of conditional fine-tuning: edits E, paraphrases P, unedited facts R (arXiv 2402.11078)."""

import itertools
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from lib.core.records import Neighbor, Paraphrase, Request
from lib.models.packing import Item
from lib.models.tokens import encode

Triple = tuple[str, str, str | None]
_PART = 1_024
"""Triples tokenized at a time: bounds memory, not the result."""


def training_triples(
    requests: Sequence[Request], paraphrases: Iterable[Paraphrase], neighbors: Iterable[Neighbor]
) -> Iterator[Triple]:
    """(prompt, target, rejected) of every edit, then of its paraphrases, then of its neighbors, as they are read.

    A paraphrase has the edit's targets, a neighbor its own; the rejected target is the edit's true object, None for
    neighbors.

    Raises ValueError where a paraphrase or neighbor belongs to no edit: the files are not of the same run.
    """
    targets = {request.edit_id: (request.target_new, request.target_true) for request in requests}
    for request in requests:
        yield request.prompt, request.target_new, request.target_true
    for paraphrase in paraphrases:
        _check_known(paraphrase, targets)
        yield paraphrase.text, *targets[paraphrase.edit_id]
    for neighbor in neighbors:
        _check_known(neighbor, targets)
        yield neighbor.prompt, neighbor.target, None


def _check_known(one: Paraphrase | Neighbor, edits: Container[str]) -> None:
    if one.edit_id not in edits:
        raise ValueError(
            f"a {type(one).__name__.lower()} of the edit {one.edit_id!r}, which is not among the edits: the files are "
            "of different runs (dvc repro makes them anew)"
        )


def training_items(tokenizer: Any, triples: Iterable[Triple], mask_prompt: bool, rejected: bool) -> Iterator[Item]:
    """Every triple as token ids, a part at a time; with its rejected target second, where that is asked for.

    Without `mask_prompt` the prompt is trained on as well.
    """
    triples = iter(triples)
    while some := list(itertools.islice(triples, _PART)):
        targets = [(new, true) if rejected and true else (new,) for _, new, true in some]
        for item in encode(tokenizer, [prompt for prompt, _, _ in some], targets):
            yield item if mask_prompt else unmasked(item)


def unmasked(item: Item) -> Item:
    """The item with its prompt trained on as well: every token after the first is a target token."""
    (target,) = item.targets
    return Item(prompt=item.prompt[:1], targets=((*item.prompt[1:], *target),))
