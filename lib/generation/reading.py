"""Prompts as a model has read them: several at a time, in passes whose shape follows from each prompt's own length.

A product of 96 rows takes half the time of six of 16 (30 blocks of SmolLM2's width, one core: 150 ms against 312). So
prompts of a like length are read together, padded behind to a multiple of _STEP tokens, as many as make READ_TOKENS;
places that a pass has no prompt for are filled with copies. No prompt sees another or what is behind it, and kernels
compute a row in the same way wherever it stands in a batch: what is read of a prompt depends on the prompt alone, to
the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from lib.generation.engine import EncodedPrompt
from lib.models.items import common

READ_TOKENS = {"cpu": 96, "cuda": 1024}
"""Of a pass that reads prompts, by kind of device."""
_STEP, _LONG = 8, 48
"""Prompts with more than _LONG tokens to read are read alone, at their own length."""

KeysValues = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values [1, h, t, d] of every layer: h key heads, t tokens, d their size."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """One text as a model has read it."""

    cache: KeysValues
    logits: Tensor
    """[1, v], float32: of the token after it."""


@dataclass(frozen=True, kw_only=True)
class ReadingShape:
    """How a prompt is read; prompts of one shape may share a pass."""

    prefix: tuple[int, ...]
    shared: int
    """Of its tokens, how many agree with the prefix, and are taken from the pass that reads that alone."""
    padded: int
    """Tokens that are read of it, padding included."""

    @classmethod
    def of(cls, prompt: EncodedPrompt) -> "ReadingShape":
        """The shape that the prompt's own length and prefix ask for."""
        shared = common(prompt.ids[:-1], prompt.prefix)
        rest = len(prompt.ids) - shared
        return cls(prefix=prompt.prefix, shared=shared, padded=rest if rest > _LONG else -(-rest // _STEP) * _STEP)

    def rows(self, device: torch.device) -> int:
        """Prompts of a pass."""
        return 1 if self.padded > _LONG else READ_TOKENS[device.type] // self.padded


class Reader:
    """Reads prompts; a prefix that prompts share is read once."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._prefix: tuple[tuple[int, ...], KeysValues] | None = None

    def read(self, prompts: Sequence[tuple[int, ...]], shape: ReadingShape) -> list[Read]:
        """Keys, values and next logits of prompts (token ids) of one shape, `shape.rows` of them at most."""
        rows = shape.rows(self._model.device)
        rest = [ids[shape.shared :] for ids in prompts]
        rest += [rest[0]] * (rows - len(rest))
        padded = torch.tensor([[*ids, *[ids[-1]] * (shape.padded - len(ids))] for ids in rest])
        last = torch.tensor([len(ids) - 1 for ids in rest])
        cache, logits = self._pass(padded, last, self._read_prefix(shape))
        return [Read(cache=_of_row(cache, row, len(ids)), logits=logits[row, None]) for row, ids in enumerate(prompts)]

    def _read_prefix(self, shape: ReadingShape) -> KeysValues:
        """Keys and values of the shared beginning."""
        if not shape.shared:
            return ()
        if self._prefix is None or self._prefix[0] != shape.prefix:
            ids = torch.tensor([shape.prefix])
            self._prefix = shape.prefix, self._pass(ids, torch.tensor([len(shape.prefix) - 1]), ())[0]
        return tuple((keys[:, :, : shape.shared], values[:, :, : shape.shared]) for keys, values in self._prefix[1])

    def _pass(self, ids: Tensor, last: Tensor, before: KeysValues) -> tuple[KeysValues, Tensor]:
        """Keys and values [b, h, t, d] of every layer, and logits [b, v] after the column `last` [b] of each row.

        ids: [b, t]. before: of the tokens that all rows begin with.
        """
        cache, device = DynamicCache(), self._model.device
        for layer, (keys, values) in enumerate(before):
            cache.update(keys.expand(len(ids), -1, -1, -1), values.expand(len(ids), -1, -1, -1), layer)
        with _HeadAt(self._model, last.to(device)):
            output = self._model(ids.to(device), past_key_values=cache, use_cache=True)
        return tuple((layer.keys, layer.values) for layer in cache.layers), output.logits[:, -1].float()


def _of_row(cache: KeysValues, row: int, t: int) -> KeysValues:
    """Of a pass's keys and values those of one row's first t tokens."""
    return tuple((keys[row, None, :, :t], values[row, None, :, :t]) for keys, values in cache)


class _HeadAt:
    """A context manager: within it, the model's head sees one column [b] of each row, and logits are [b, 1, v]."""

    def __init__(self, model: PreTrainedModel, columns: Tensor) -> None:
        self._head: nn.Module = model.get_output_embeddings()
        self._columns = columns

    def __enter__(self) -> None:
        self._handle = self._head.register_forward_pre_hook(
            lambda _, inputs: (inputs[0][torch.arange(len(self._columns)), self._columns][:, None], *inputs[1:])
        )

    def __exit__(self, *_: object) -> None:
        self._handle.remove()
