"""How an editor tells how far its long work is."""

from collections.abc import Callable, Iterable
from typing import Any

Show = Callable[[Iterable[Any], str, int | None], Iterable[Any]]
"""Passes on the items of long work, and tells by its name how far it is, of so many (None: as many as items)."""


def silently(items: Iterable[Any], name: str = "", total: int | None = None) -> Iterable[Any]:
    """The items, without a word about how far they are."""
    return items
