"""The decoding engine: texts continued in a fixed number of slots, each of which takes the next text when its own ends.

A text's tokens depend on its prompt and seed alone, to the bit, whatever else is generated, in which order, and by
which process. Prompts are read in passes whose shape follows from each prompt's own length, after a prefix that is read
once (reading.py). Every decode step has one shape: SLOTS rows, over a cache whose length follows from the text's own
(texts of other lengths go through slots of their own: cache.py), and kernels compute a row in the same way wherever it
stands in a batch. Each text draws from a stream of its own, a number a position (engine.py).

Models that no shared batch is right for are written one text at a time (plain.py).

Fewer slots, at the end of the work or where there is little, are used only where a step with them has just given the
bits that the step of all slots gave.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from lib.generation.cache import Slots
from lib.generation.engine import EncodedPrompt, Sampling, choose, numbers
from lib.generation.plain import continue_plain, needs_plain
from lib.generation.reading import Read, Reader, ReadingShape
from lib.generation.weights import laid_out

SLOTS = {"cpu": 32, "cuda": 64}
"""Texts that are decoded together, by kind of device."""
CACHE_TOKENS = 16_384
"""Places of all slots together: longer texts have fewer slots."""
_FEWEST = 4
"""Products of fewer rows go through other kernels."""
_WORTH = 6
"""Steps that must be left for fewer slots to be tried, which costs a step."""


Show = Callable[[Iterator[tuple[int, list[int]]]], Iterable[tuple[int, list[int]]]]


@torch.inference_mode()
def continuations(
    model: PreTrainedModel,
    prompts: Sequence[EncodedPrompt],
    sampling: Sampling,
    *,
    ended: Callable[[Sequence[int]], bool] = lambda tokens: False,
    show: Show = iter,
    slots: int | None = None,
    cache_tokens: int = CACHE_TOKENS,
) -> list[list[int]]:
    """The tokens that follow each prompt, in the order of the prompts.

    Args:
        sampling: how a token is drawn; lengths and ends are each prompt's own.
        ended: whether a text ends with the last of these tokens.
        show: passes on (index, tokens) of texts as they end, and may tell of it.
        slots: rows of a step; None: those of SLOTS.
        cache_tokens: places of all slots together, which bounds memory: of long texts there are fewer slots. A text's
            last bits may depend on both.
    """
    texts: list[list[int]] = [[] for _ in prompts]
    if needs_plain(model):
        plain = ((index, continue_plain(model, prompt, sampling, ended)) for index, prompt in enumerate(prompts))
        return [tokens for _, tokens in show(plain)]
    with laid_out(model):
        decoder = _Decoder(model, prompts, sampling, ended, slots or SLOTS[model.device.type], cache_tokens)
        for index, tokens in show(decoder.texts()):
            texts[index] = tokens
    return texts


@dataclass
class _Text:
    """One text that is being written."""

    index: int
    prompt: EncodedPrompt
    uniform: list[float]
    """Of each token, where tokens are drawn."""
    tokens: list[int] = field(default_factory=list)


@dataclass
class _Decoder:
    """Prompts going through the slots."""

    model: PreTrainedModel
    prompts: Sequence[EncodedPrompt]
    sampling: Sampling
    ended: Callable[[Sequence[int]], bool]
    slot_count: int
    cache_tokens: int
    running: dict[int, _Text] = field(default_factory=dict)
    """By slot."""
    ready: deque[tuple[_Text, Read]] = field(default_factory=deque)
    """Texts whose prompt has been read and that wait for a slot."""

    def __post_init__(self) -> None:
        self.reader = Reader(self.model)
        self.shapes = [ReadingShape.of(prompt) for prompt in self.prompts]

    def texts(self) -> Iterator[tuple[int, list[int]]]:
        """(index, tokens) of every text as it ends: those of one cache length together, prefix after prefix."""
        by_length: dict[int, list[int]] = {}
        for index, prompt in enumerate(self.prompts):
            if prompt.tokens > 0:
                by_length.setdefault(prompt.cache_length, []).append(index)
            else:
                yield index, []
        for cache_length in sorted(by_length, reverse=True):
            yield from self._of_length(cache_length, deque(sorted(by_length[cache_length], key=self._order)))

    def _order(self, index: int) -> tuple[tuple[int, ...], int, int, int, tuple[int, ...]]:
        """Prompts with one prefix come one after another, the longest texts first; of these, those of a like length."""
        prompt, shape = self.prompts[index], self.shapes[index]
        return prompt.prefix, -prompt.tokens, shape.shared, shape.padded, prompt.ids

    def _of_length(self, cache_length: int, waiting: deque[int]) -> Iterator[tuple[int, list[int]]]:
        """(index, tokens) of the texts of one cache length, as they end."""
        slots: Slots | None = None
        count = max(_FEWEST, min(self.slot_count, self.cache_tokens // cache_length))
        shrinks = self.model.device.type == "cpu"
        while waiting or self.ready or self.running:
            for slot in (slot for slot in range(count) if slot not in self.running):
                while (self.ready or waiting) and slot not in self.running:
                    text, read = self._next(waiting)
                    slots = slots or Slots(self.model, count, cache_length, read.cache)
                    if self._add(text, choose(read.logits, text.uniform[:1], self.sampling)[0]):
                        yield text.index, text.tokens
                    else:
                        slots.fill(slot, read.cache)
                        self.running[slot] = text
            if self.running and slots is not None:
                logits = slots.step({slot: text.tokens[-1] for slot, text in self.running.items()})
                if shrinks and not waiting and not self.ready:
                    slots, logits, shrinks = self._shrunk(slots, logits)
                yield from self._advance(logits)

    def _next(self, waiting: deque[int]) -> tuple[_Text, Read]:
        """The text that begins next; where none is ready, the prompts of the next pass are read."""
        if not self.ready:
            shape = self.shapes[waiting[0]]
            texts, indices = self._of_shape(shape, waiting)
            read = dict(zip(texts, self.reader.read(list(texts), shape), strict=True))
            self.ready.extend((self._text(index), read[self.prompts[index].ids]) for index in indices)
        return self.ready.popleft()

    def _of_shape(self, shape: ReadingShape, waiting: deque[int]) -> tuple[dict[tuple[int, ...], None], list[int]]:
        """Taken from `waiting`: the next prompts that one pass reads, each once, and the texts that continue them."""
        prompts: dict[tuple[int, ...], None] = {}
        indices: list[int] = []
        while waiting and self.shapes[waiting[0]] == shape:
            ids = self.prompts[waiting[0]].ids
            if ids not in prompts and len(prompts) == shape.rows(self.model.device):
                break
            prompts[ids] = None
            indices.append(waiting.popleft())
        return prompts, indices

    def _text(self, index: int) -> _Text:
        prompt = self.prompts[index]
        uniform = [0.0] * prompt.tokens
        if not self.sampling.greedy:
            uniform = numbers(prompt.seed, len(prompt.ids), prompt.tokens).tolist()
        return _Text(index, prompt, uniform)

    def _advance(self, logits: torch.Tensor) -> Iterator[tuple[int, list[int]]]:
        """Give every running text its next token; those that end with it leave their slot."""
        order = list(self.running)
        uniform = [text.uniform[len(text.tokens)] for text in self.running.values()]
        for slot, token in zip(order, choose(logits[order], uniform, self.sampling), strict=True):
            text = self.running[slot]
            if self._add(text, token):
                del self.running[slot]
                yield text.index, text.tokens

    def _add(self, text: _Text, token: int) -> bool:
        """Whether the text ends with this token."""
        text.tokens.append(token)
        return len(text.tokens) == text.prompt.tokens or token == text.prompt.end or self.ended(text.tokens)

    def _shrunk(self, slots: Slots, logits: torch.Tensor) -> tuple[Slots, torch.Tensor, bool]:
        """Half the slots or a quarter, where they are enough and give the running texts the same bits.

        With the slots come the logits of the last step, and whether fewer slots may be tried again.
        """
        count = slots.count
        while count // 2 >= max(_FEWEST, len(self.running)):
            count //= 2
        left = max(text.prompt.tokens - len(text.tokens) for text in self.running.values())
        if count == slots.count or left < _WORTH:
            return slots, logits, True
        order = list(self.running)
        fewer = slots.first(order, count)
        fewer_logits = fewer.repeated()
        if not torch.equal(fewer_logits[: len(order)], logits[order]):
            return slots, logits, False
        self.running = dict(enumerate(self.running.values()))
        return fewer, fewer_logits, True
