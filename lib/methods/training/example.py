"""Something to train on: tokens to be learned, tokens to be left as they are, or both."""

from dataclasses import dataclass
from typing import Literal

from lib.models.packing import Item

Group = Literal["after", "prompts", "texts", "chats", "earlier"]
"""What held tokens belong to: the text after an edit's object, prompts of unedited facts, plain text, chat answers,
earlier edits' objects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """Something to train on."""

    item: Item
    """A prompt and its target; for DPO the rejected target second."""
    reference: tuple[float, float] | None = None
    """log p0 of chosen and rejected target, in nats: only for DPO."""
    text: bool = False
    """Plain text rather than a fact."""
    held_tokens: int = 0
    """The last so many tokens of the target are held to the unedited model (holding.py) rather than learned."""
    group: Group = "after"
    """Of the held tokens: every group's KL is a mean of its own."""

    @property
    def length(self) -> int:
        """Tokens that the example takes in a row."""
        return self.item.length

    @property
    def learned_tokens(self) -> int:
        """Tokens of its target that are learned."""
        return len(self.item.targets[0]) - self.held_tokens
