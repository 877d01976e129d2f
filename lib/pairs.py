"""The training pairs of conditional fine-tuning: edits E, paraphrases P, unedited facts R (arXiv 2402.11078)."""

from collections.abc import Sequence

from lib.packing import Item
from lib.records import Neighbor, Paraphrase, Request

Pair = tuple[str, str]


def training_pairs(
    requests: Sequence[Request], paraphrases: Sequence[Paraphrase], neighbors: Sequence[Neighbor]
) -> list[Pair]:
    """(prompt, target) of every edit, then of its paraphrases (same target), then of its neighbors (their own target).

    Raises ValueError where a paraphrase or neighbor belongs to no edit: the files are not of the same run.
    """
    targets = {request.edit_id: request.target_new for request in requests}
    strangers = {one.edit_id for one in paraphrases} | {one.edit_id for one in neighbors}
    if strangers := strangers - targets.keys():
        raise ValueError(
            f"paraphrases or neighbors of {len(strangers)} edits that are not among the edits, such as "
            f"{min(strangers)!r}: the files are of different runs (dvc repro makes them anew)"
        )
    pairs = [(request.prompt, request.target_new) for request in requests]
    pairs += [(one.text, targets[one.edit_id]) for one in paraphrases]
    pairs += [(one.prompt, one.target) for one in neighbors]
    return pairs


def unmasked(item: Item) -> Item:
    """The item with its prompt trained on as well: every token after the first is a target token."""
    (target,) = item.targets
    return Item(prompt=item.prompt[:1], targets=((*item.prompt[1:], *target),))
