"""What edits that are each made alone on the same unedited model need of it, and read once.

The plain text and the chat answers that a step holds are the same for all of them, and so is the unedited model's side
of the KL (holding.py) wherever two steps hold the same tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lib.methods.training.example import Example, Group
from lib.methods.training.whitening import InputMoment
from lib.models.packing import Item

_GENERAL: tuple[Group, ...] = ("texts", "chats")
_Key = tuple[Item, int]
"""An item, and how many of its tokens are held."""


@dataclass(frozen=True, kw_only=True)
class HeldStates:
    """The unedited model's last hidden states at the tokens that the steps of one edit hold."""

    general: dict[_Key, Tensor] = field(default_factory=dict)
    """Of texts and chat answers, which all edits share: [held tokens, d]."""
    own: dict[_Key, Tensor] = field(default_factory=dict)
    """Of the edit's own forms and prompts."""

    def of(self, examples: Sequence[Example], read: Callable[[Sequence[Example]], Tensor]) -> Tensor:
        """The states at the held tokens of `examples`, in their order: [k, d].

        What all edits share is read by itself, so that its bytes do not depend on the edit that a run begins with.

        Args:
            read: gives them for some examples, which no step has held before.
        """
        unread = {_key(example): example for example in examples if _key(example) not in self._of(example)}
        for key, example in [*unread.items()]:
            if example.group in _GENERAL:
                self.general[key] = read([unread.pop(key)])
        if unread:
            parts = torch.split(read([*unread.values()]), [tokens for _, tokens in unread])
            self.own.update(zip(unread, parts, strict=True))
        return torch.cat([self._of(example)[_key(example)] for example in examples])

    def _of(self, example: Example) -> dict[_Key, Tensor]:
        return self.general if example.group in _GENERAL else self.own


def _key(example: Example) -> _Key:
    return example.item, example.held_tokens


@dataclass(frozen=True, kw_only=True)
class Unedited:
    """What the edits of a run share of the model that it begins with."""

    chats: Sequence[Item] = ()
    """Its answers to general questions, where the objective holds any."""
    states: dict[_Key, Tensor] = field(default_factory=dict)
    """Its last hidden states at the held tokens of texts and chat answers, as far as an edit has read them."""
    _moments: dict[str, InputMoment] = field(default_factory=dict)

    def moments(self, read: Callable[[], Mapping[str, InputMoment]]) -> Mapping[str, InputMoment]:
        """Of the modules' inputs at the texts and chats, by path: what `read` gives when it is first asked for."""
        if not self._moments:
            self._moments.update(read())
        return self._moments
