"""Passes that start at the block where a shift enters, with the tokens from the shift on.

Attention to the tokens before goes through a cache of their keys and values, which the first pass fills and no later
one changes. Masks are given whole, so that sliding windows need no cache of their own.

Shapes: b rows, t tokens a row, q tokens from the shift on, p tokens before it, n requests, k target tokens.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from lib.methods.locating.search_rows import Rows
from lib.models.architecture import architecture, hidden_of, with_hidden
from lib.models.hooks import hooked
from lib.models.packing import layer_masks


@dataclass(frozen=True, kw_only=True)
class Split:
    """Passes over the tokens from the shift on, through the blocks from `start` on."""

    model: PreTrainedModel
    module: nn.Module
    rows: Rows
    start: int
    form: Any
    """An output of a block, for the form in which it gives its hidden states."""
    entering: Tensor  # [b, q, d]: the hidden states that enter block `start`
    before: Mapping[int, tuple[Tensor, Tensor]]
    """Keys and values [b, heads, p, d_head] of the tokens before the shift, by layer."""

    def final(self, shift: Tensor) -> Tensor:
        """Final hidden states [k + n, d] at target tokens, then KL prompts, with the module's output shifted [n, d]."""
        rows = self.rows
        columns = _columns(rows, self.entering.shape[1])
        blocks = [self.model.get_submodule(architecture(self.model).block(layer)) for layer in range(self.start)]
        with (
            _skipped(blocks, with_hidden(self.form, self.entering)),
            shifted(self.module, shift[rows.owner], torch.zeros_like(rows.position)),
        ):
            ids = rows.ids.gather(1, columns)
            hidden = _through(self.model, ids, columns, self._mask(columns), _Before(self.before))
        target_position = rows.target_position - rows.position[rows.target_row]
        return at_targets(rows, hidden, target_position, torch.zeros_like(rows.kl_row))

    def of(self, requests: Tensor) -> "Split":
        """Narrow to the requests that are true in [n]."""
        rows, numbers = self.rows.of(requests)
        q, p = rows.tail, int(rows.position.max())
        before = {
            layer: (keys[numbers, :, :p], values[numbers, :, :p]) for layer, (keys, values) in self.before.items()
        }
        return replace(self, rows=rows, entering=self.entering[numbers, :q], before=before)

    def _mask(self, columns: Tensor) -> Any:
        """What the tokens from the shift on see: their row's tokens before it, and each other up to themselves."""
        (b, q), p, device = columns.shape, next(iter(self.before.values()))[0].shape[2], columns.device
        earlier = torch.arange(p, device=device).expand(b, p)
        seen_before = (earlier < self.rows.position[:, None])[:, None].expand(b, q, p)
        seen_after = torch.ones(q, q, dtype=torch.bool, device=device).tril().expand(b, q, q)
        distance = columns[:, :, None] - torch.cat([earlier, columns], dim=1)[:, None]
        visible = torch.cat([seen_before, seen_after], dim=2)
        return layer_masks(visible, distance, self.entering.dtype, self.model.base_model.config)


class Recorder(Cache):  # type: ignore[misc]  # transformers is not typed here
    """A cache that keeps keys and values of the layers from `start` on, whatever their windows."""

    def __init__(self, model: PreTrainedModel, path: str) -> None:
        super().__init__(layers=[])
        arch = architecture(model)
        self._model, self._arch = model, arch
        self._start = int(path.removeprefix(arch.blocks + ".").split(".")[0])
        self._pairs: dict[int, tuple[Tensor, Tensor]] = {}
        self._entering: Tensor | None = None
        self._form: Any = None

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        """Keep a layer's keys and values [b, heads, t, d_head], and give them back."""
        if layer_idx >= self._start:
            self._pairs[layer_idx] = key_states, value_states
        return key_states, value_states

    def through(self, rows: Rows) -> Tensor:
        """Final hidden states [b, t, d] of a pass through all tokens of all rows; the record is made on the way."""

        def keep(block: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            self._entering, self._form = (inputs[0] if inputs else named["hidden_states"]), output

        t, device = rows.ids.shape[1], rows.ids.device
        positions = torch.arange(t, device=device)
        visible = torch.ones(1, t, t, dtype=torch.bool, device=device).tril()
        distance = positions[:, None] - positions
        mask = layer_masks(visible, distance[None], self._model.dtype, self._model.base_model.config)
        handle = self._model.get_submodule(self._arch.block(self._start)).register_forward_hook(keep, with_kwargs=True)
        try:
            return _through(self._model, rows.ids, positions.expand_as(rows.ids), mask, self)
        finally:
            handle.remove()

    def missing(self) -> str | None:
        """Why the record is not enough to go on from; None where it is."""
        absent = [layer for layer in range(self._start, self._arch.layers(self._model)) if layer not in self._pairs]
        return f"layer {absent[0]} keeps no keys and values" if absent else None

    def split(self, module: nn.Module, rows: Rows) -> Split:
        """The passes that go on from the record."""
        assert self._entering is not None, "`through` comes first"
        columns = _columns(rows, rows.tail)
        at = columns[:, :, None].expand(-1, -1, self._entering.shape[2])
        p = int(rows.position.max())
        return Split(
            model=self._model, module=module, rows=rows, start=self._start, form=self._form,
            entering=self._entering.gather(1, at),
            before={layer: (keys[:, :, :p], values[:, :, :p]) for layer, (keys, values) in self._pairs.items()},
        )  # fmt: skip


class _Before(Cache):  # type: ignore[misc]
    """A cache that puts keys and values before those of a pass, and keeps nothing."""

    def __init__(self, before: Mapping[int, tuple[Tensor, Tensor]]) -> None:
        super().__init__(layers=[])
        self._before = before

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        """[b, heads, p + q, d_head], twice."""
        keys, values = self._before[layer_idx]
        return torch.cat([keys, key_states], dim=2), torch.cat([values, value_states], dim=2)


def cannot_split(model: PreTrainedModel) -> str | None:
    """Why a pass cannot start in the middle, as far as the decoder's parameters say; None where it can."""
    parameters = inspect.signature(model.base_model.forward).parameters
    missing = {"position_ids", "past_key_values", "attention_mask"} - {*parameters}
    return f"its decoder takes no {', '.join(sorted(missing))}" if missing else None


def at_targets(rows: Rows, hidden: Tensor, target_position: Tensor, kl_position: Tensor) -> Tensor:
    """[k + n, d] of [b, t, d]"""
    return torch.cat([hidden[rows.target_row, target_position], hidden[rows.kl_row, kl_position]])


def shifted(module: nn.Module, shifts: Tensor, positions: Tensor) -> AbstractContextManager[None]:
    """Within it, row i of the module's output has shifts[i] added at positions[i]."""
    at = torch.arange(len(positions), device=positions.device), positions

    def add(module: nn.Module, inputs: Any, output: Any) -> Any:
        hidden = hidden_of(output)
        return with_hidden(output, hidden.index_put(at, hidden[at] + shifts.to(hidden.dtype)))

    return hooked(module, add)


def _through(model: PreTrainedModel, ids: Tensor, positions: Tensor, mask: Any, cache: Cache) -> Tensor:
    hidden: Tensor = model.base_model(
        input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return hidden


def _columns(rows: Rows, q: int) -> Tensor:
    """Where in their rows the tokens from the shift on stand; behind a row's end, the last column: [b, q]"""
    columns = rows.position[:, None] + torch.arange(q, device=rows.ids.device)
    return columns.clamp(max=rows.ids.shape[1] - 1)


@contextmanager
def _skipped(blocks: Sequence[nn.Module], output: Any) -> Iterator[None]:
    """Within it, the blocks compute nothing and give `output`."""
    own = [vars(block).get("forward") for block in blocks]
    for block in blocks:
        block.forward = lambda *_, **__: output
    try:
        yield
    finally:
        for block, forward in zip(blocks, own, strict=True):
            if forward is None:
                del block.forward
            else:
                block.forward = forward
