"""The pool of unedited facts where it is empty: an error in place of a training set that silently lacks them."""

from lib.core.errors import InputError
from lib.core.sections import Neighbors


def check_pool(neighbors: Neighbors, facts: int, reason: str, remedy: str) -> None:
    """Raise InputError where neighbors are asked for, and no fact is there that could be one.

    Args:
        neighbors: the section of params.yaml.
        facts: how many there are.
        reason: why there is none, a sentence's part.
        remedy: what else may be set than neighbors.kind=none, a sentence's part.
    """
    if neighbors.are_requested and not facts:
        raise InputError(
            f"neighbors.kind={neighbors.kind}: wanted {neighbors.n} unedited facts to train on beside every edit; "
            f"found none: {reason}. Set {remedy}, or neighbors.kind=none to train without any"
        )
