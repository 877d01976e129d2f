"""How a model has to be read: what the check at load found out, kept with the loaded model."""

from dataclasses import dataclass
from typing import Any, Literal

Rows = Literal["shared", "isolated"]
"""shared: several items and sister targets a row, told apart by mask and positions. isolated: a row a pair."""
Texts = Literal["batched", "single", "recomputed"]
"""batched: prompts share batches and a plain cache of keys and values. single: one text at a time, with the cache that
the model's config asks for. recomputed: one text at a time, all of it read anew for every token."""
_ATTRIBUTE = "errata_reading"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The ways in which one loaded model is right, the fastest of each kind."""

    rows: Rows
    texts: Texts
    positions: int | None
    """Tokens that the model has positions for; None: any number."""
    vocabulary: int
    """Rows of its embedding: token ids are below it."""
    difference: float
    """Largest difference of a packed pair from one plain forward pass over it, in nats, as checked."""


def recorded(model: Any) -> Reading | None:
    """What was found out about `model`; None where it was not checked."""
    reading: Reading | None = getattr(model, _ATTRIBUTE, None)
    return reading


def record(model: Any, reading: Reading) -> None:
    """Keep `reading` with the model, for as long as it is loaded; it is not stored with its weights."""
    setattr(model, _ATTRIBUTE, reading)
