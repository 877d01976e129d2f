"""What edits that are each made alone on the same unedited model need of it, and read once.

The plain text and the chat answers that a step holds are the same for all of them, and so is the unedited model's side
of the KL (holding.py) wherever two steps hold the same tokens.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lib.methods.training.example import Example
from lib.methods.training.whitening import InputMoment
from lib.models.packing import Item

HELD_TOKENS = 50_000
"""Held tokens whose states are remembered: 115 MB in float32 of a model with 576 hidden values."""


class HeldStates:
    """The unedited model's last hidden states at held tokens, of as many tokens as were asked for last."""

    def __init__(self, tokens: int = HELD_TOKENS) -> None:
        self._states: OrderedDict[tuple[Item, int], Tensor] = OrderedDict()
        self._room = tokens

    def of(self, examples: Sequence[Example], read: Callable[[Sequence[Example]], Tensor]) -> Tensor:
        """The states at the held tokens of `examples`, in their order: [k, d].

        Args:
            read: gives them for some examples: it is asked once at most, for those that are not remembered.
        """
        keys = [(example.item, example.held_tokens) for example in examples]
        unread = {key: example for key, example in zip(keys, examples, strict=True) if key not in self._states}
        if unread:
            lengths = [tokens for _, tokens in unread]
            parts = torch.split(read([*unread.values()]), lengths)
            self._states |= {key: part.clone() for key, part in zip(unread, parts, strict=True)}
            self._room -= sum(lengths)
        for key in keys:
            self._states.move_to_end(key)
        states = torch.cat([self._states[key] for key in keys])
        while self._room < 0 and self._states:
            (_, tokens), _ = self._states.popitem(last=False)
            self._room += tokens
        return states


@dataclass(frozen=True, kw_only=True)
class Unedited:
    """What the edits of a run share of the model that it begins with."""

    chats: Sequence[Item] = ()
    """Its answers to general questions, where the objective holds any."""
    states: HeldStates = field(default_factory=HeldStates)
    _moments: dict[str, InputMoment] = field(default_factory=dict)

    def moments(self, read: Callable[[], Mapping[str, InputMoment]]) -> Mapping[str, InputMoment]:
        """Of the modules' inputs at the texts and chats, by path: what `read` gives when it is first asked for."""
        if not self._moments:
            self._moments.update(read())
        return self._moments
