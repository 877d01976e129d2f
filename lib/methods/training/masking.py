"""Which tokens the paper's released code trains on, where that is not what the paper says (arXiv 2402.11078).

Of a pair with its prompt masked, every token whose id is one of the target's carries loss, in the prompt as well.
Without the mask all tokens of a batch's rows do, and those with which rows are filled up to the longest: labels do not
tell the end of text that a row is filled with from the one that it ends with. Pieces of plain text are filled up to
their full length, and trained in the same way. A loss is the mean over all such tokens of the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.methods.training.example import Example
from lib.models.check import filled_for, packed_for
from lib.models.items import Length
from lib.models.likelihood import token_nll
from lib.models.packing import Item, batches


@dataclass(frozen=True, kw_only=True)
class PublishedMasking:
    """The loss over the tokens that the release trains on."""

    end: int
    """Id of the end of text, which rows end and are filled with."""
    masks_prompt: bool
    text_tokens: int
    """Length of a piece of plain text with what it is filled up with."""

    def loss(
        self, model: nn.Module, share: Sequence[Example], batch: Sequence[Example], text_share: float
    ) -> Tensor:  # fmt: skip
        """What `share`, a part of the global `batch`, adds to the batch's loss: a scalar, float32, in nats.

        `text_share` is that of plain text.
        """
        length = _row_length(batch)
        parts = []
        for is_text, weight in ((False, 1 - text_share), (True, text_share)):
            examples = [example for example in share if example.text == is_text]
            if examples:
                trained = sum(self._trained(example, length) for example in batch if example.text == is_text)
                parts.append(weight / trained * self._sum(model, examples, length))
        return torch.stack(parts).sum()

    def cut(self, share: Sequence[Example], batch: Sequence[Example], tokens: int) -> list[list[int]]:
        """Indices of `share` in forward passes of at most `tokens` tokens."""
        length = _row_length(batch)
        return batches([Length(length=self._length(example, length)) for example in share], tokens)

    def _sum(self, model: nn.Module, examples: Sequence[Example], length: int) -> Tensor:
        """-log p of all trained tokens of these facts, or of these texts."""
        rows = [_tokens(example) if example.text else (*_tokens(example), self.end) for example in examples]
        if self.masks_prompt and not examples[0].text:
            items = [Item(prompt=ids[:1], targets=(ids[1:],)) for ids in map(_tokens, examples)]
            nll = token_nll(model, packed_for(model, items))
            return (nll * nll.new_tensor([flag for example in examples for flag in _flags(example)])).sum()
        return token_nll(model, filled_for(model, rows, self._length(examples[0], length), self.end)).sum()

    def _length(self, example: Example, length: int) -> int:
        """Tokens of the row that an example is, where facts that are filled up have `length`."""
        if example.text:
            return self.text_tokens
        return len(_tokens(example)) if self.masks_prompt else length

    def _trained(self, example: Example, length: int) -> int:
        """How many tokens of an example carry loss: the first of a row is not predicted."""
        filled = example.text or not self.masks_prompt
        return self._length(example, length) - 1 if filled else sum(_flags(example))


def _row_length(batch: Sequence[Example]) -> int:
    """Tokens of the longest fact of a batch, and the end of text."""
    return 1 + max((len(_tokens(example)) for example in batch if not example.text), default=0)


def _tokens(example: Example) -> tuple[int, ...]:
    return (*example.item.prompt, *example.item.targets[0])


def _flags(example: Example) -> list[bool]:
    """Which tokens after a pair's first have the id of one of its target's."""
    ids = {*example.item.targets[0]}
    return [token in ids for token in _tokens(example)[1:]]
