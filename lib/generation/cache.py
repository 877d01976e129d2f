"""Keys and values of many texts in slots of one length.

Shapes: s slots, l places of a slot, h key heads, d their size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin

from lib.generation.attention import OneTokenAttention
from lib.generation.reading import KeysValues
from lib.models.packing import layer_masks


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped here
    """One layer's keys and values in slots: [s, h, l, d]. A step writes each slot at its own place."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.is_initialized = True
        self.slots = torch.arange(len(keys), device=keys.device)
        self.places = torch.zeros_like(self.slots)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write new keys and values [s, h, 1, d] at the slots' places; all keys and values."""
        self.keys[self.slots, :, self.places] = key_states[:, :, 0]
        self.values[self.slots, :, self.places] = value_states[:, :, 0]
        return self.keys, self.values

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: a layer is made with its tensors."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """All places, from the first."""
        return self.get_max_length(), 0

    def get_seq_length(self) -> int:
        """Not told: slots differ, and their positions are passed with their tokens."""
        return 0

    def get_max_length(self) -> int:
        """Places of a slot."""
        return int(self.keys.shape[2])


class Slots:
    """Texts in slots of `length` places, each at a place of its own; what lies behind it is masked, exactly zero."""

    def __init__(self, model: PreTrainedModel, count: int, length: int, like: KeysValues) -> None:
        """`like`: keys and values of any text, for their shapes."""
        self._model, self._attention = model, OneTokenAttention(model)
        self.count, self.length = count, length
        self._layers = [
            SlotLayer(*(part.new_zeros(count, part.shape[1], length, part.shape[3]) for part in layer))
            for layer in like
        ]  # fmt: skip
        self._tokens = torch.zeros(count, 1, dtype=torch.long, device=model.device)
        self._places = torch.zeros_like(self._tokens)

    def fill(self, slot: int, text: KeysValues) -> None:
        """Put a text that was read alone into a slot, with nothing behind it."""
        t = text[0][0].shape[2]
        for layer, (keys, values) in zip(self._layers, text, strict=True):
            for slots, part in ((layer.keys, keys), (layer.values, values)):
                slots[slot, :, :t] = part[0]
                slots[slot, :, t:] = 0
        self._places[slot] = t - 1

    def step(self, tokens: dict[int, int]) -> Tensor:
        """Logits [s, v], float32, after the next token of each of these slots; those of other slots mean nothing."""
        for slot, token in tokens.items():
            self._tokens[slot] = token
            self._places[slot] += 1
        return self._pass()

    def repeated(self) -> Tensor:
        """What the last step gave, computed anew: it writes what it wrote."""
        return self._pass()

    def first(self, slots: Sequence[int], count: int) -> "Slots":
        """Fewer slots: these, filled up to `count` with others."""
        order = [*slots, *(slot for slot in range(self.count) if slot not in slots)][:count]
        fewer = object.__new__(Slots)
        fewer._model, fewer._attention, fewer.count, fewer.length = self._model, self._attention, count, self.length
        fewer._layers = [SlotLayer(layer.keys[order], layer.values[order]) for layer in self._layers]
        fewer._tokens, fewer._places = self._tokens[order], self._places[order]
        return fewer

    def _pass(self) -> Tensor:
        for layer in self._layers:
            layer.places = self._places[:, 0]
        with self._attention:
            output = self._model(
                input_ids=self._tokens,
                position_ids=self._places,
                attention_mask=self._mask(),
                past_key_values=Cache(layers=self._layers),
                use_cache=True,
            )
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _mask(self) -> Tensor | dict[str, Tensor]:
        """What is added to the scores [s, 1, 1, l]; where a model's layers differ (Gemma), of every kind of layer."""
        distance = (self._places - torch.arange(self.length, device=self._places.device))[:, None]  # [s, 1, l]
        return layer_masks(distance >= 0, distance, self._model.dtype, self._model.config.get_text_config())
