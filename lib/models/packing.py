"""Pairs of prompt and target packed into rows without waste: the one engine behind training and scoring.

An item is a prompt with one or more targets. It takes one stretch of a row: the prompt's tokens once, then each
target's tokens but the last. Every target attends to the prompt and to itself, not to its sister targets; items that
share a row do not see each other; positions start anew in every item and continue after the prompt in every target.
So the result is that of one forward pass a pair, at a fraction of the tokens: no padding to speak of, no prompt twice,
and logits only where a target token is predicted. What many prompts begin with is read once where that is asked for.

That holds for models that obey a mask and position ids. For others (a state or a convolution that runs along the row,
ALiBi counted by row) items are packed isolated: one pair of prompt and target a row from its first column, padded
behind, read without mask and position ids. lib/models/check.py finds out at load which of the two a model needs.

Shapes: b rows, t tokens a row, d hidden size, v vocabulary, n predicted target tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor

from lib.models.beginnings import Beginning, common_beginnings
from lib.models.items import ROW_TOKENS, Length
from lib.models.items import Item as Item

_TOKEN_COST = 3072
"""A token's share of a row's cost in units of what attention adds to it for a token of the row: 6 x hidden size 512."""


class HasLength(Protocol):
    """What knows how many tokens it takes."""

    @property
    def length(self) -> int:
        """Tokens that it takes in a row."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Rows ready for a forward pass, and where in them each target token is predicted."""

    input_ids: Tensor  # [b, t]
    position_ids: Tensor  # [b, t]
    item: Tensor  # [b, t]; -1 = padding
    branch: Tensor  # [b, t]; 0 = prompt, k = k-th target
    query: Tensor  # [n]: flat position (row * t + column) whose hidden state predicts the label
    label: Tensor  # [n]
    owner: Tensor  # [n]: which target, counted over all items in order
    isolated: bool = False
    """Whether every row is one pair; of an item's rows the first alone has its prompt's tokens, the others item -1."""

    @property
    def targets(self) -> int:
        """Number of targets over all items."""
        return int(self.owner[-1]) + 1

    def to(self, device: torch.device | str) -> "Packed":
        """The same rows on another device."""
        tensors: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors)

    def attention_mask(self, dtype: torch.dtype, config: Any) -> Tensor | dict[str, Tensor]:
        """The mask of a model of this config; where its layers differ (Gemma), one for every kind of layer."""
        distance = self.position_ids[:, :, None] - self.position_ids[:, None, :]
        return layer_masks(self._visible(), distance, dtype, config)

    def _visible(self) -> Tensor:
        """Whether a query (row) may see a key (column): [b, t, t]."""
        t = self.item.shape[1]
        same_item = self.item[:, :, None] == self.item[:, None, :]
        same_branch = self.branch[:, :, None] == self.branch[:, None, :]
        causal = torch.ones(t, t, dtype=torch.bool, device=self.item.device).tril()
        return causal & same_item & (same_branch | (self.branch[:, None, :] == 0))


@dataclass(frozen=True, kw_only=True)
class Filled(Packed):
    """Rows of one text each, filled up behind; what fills them up is read as text, but is seen by nothing (item -1)."""

    def _visible(self) -> Tensor:
        t = self.item.shape[1]
        return torch.ones(t, t, dtype=torch.bool, device=self.item.device).tril() & (self.item[:, None, :] >= 0)


def layer_masks(visible: Tensor, distance: Tensor, dtype: torch.dtype, config: Any) -> Tensor | dict[str, Tensor]:
    """The additive mask of a model of this config; where its layers differ (Gemma), one for every kind of layer.

    [b, q, k]: whether a query may see a key, and how many positions the key is before it (sliding windows limit it).
    """
    window = getattr(config, "sliding_window", None)
    if window is None:
        return _additive(visible, dtype)
    masks = {"sliding_attention": visible & (distance < window), "full_attention": visible}
    kinds = set(getattr(config, "layer_types", None) or ["sliding_attention"])
    if len(kinds) == 1:
        return _additive(masks[kinds.pop()], dtype)
    return {kind: _additive(masks[kind], dtype) for kind in kinds}


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """[b, 1, q, k]: 0 where a query sees a key, the dtype's minimum elsewhere."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]


def pack(items: Sequence[Item], *, isolated: bool = False, share: bool = False) -> Packed:
    """Pack `items` into rows, longest first into the fullest row with room; isolated: a row a target, in their order.

    The number of tokens is about the sum of the items' lengths; the order of the targets is that of `items`.

    Args:
        share: items whose prompts begin alike take that beginning once (beginnings.py).
    """
    if not items:
        raise ValueError("pack: wanted at least one item, found none")
    if isolated:
        return _pack_isolated(items)
    groups = common_beginnings(items) if share else [Beginning.of_one(items, index) for index in range(len(items))]
    stretches = [_stretch(items, group) for group in groups]
    origins, b, t = _shortest([len(stretch.ids) for stretch in stretches])
    grid = torch.zeros(4, b, t, dtype=torch.long)  # ids, positions, item, branch
    grid[2] = -1
    queries: list[list[int]] = [[] for _ in items]
    for index, (group, stretch, (row, column)) in enumerate(zip(groups, stretches, origins, strict=True)):
        length, start = len(stretch.ids), row * t + column
        filled = torch.tensor([stretch.ids, stretch.positions, [index] * length, stretch.branches])
        grid[:, row, column : column + length] = filled
        for number, offsets in zip(group.of_targets(items), stretch.queries, strict=True):
            queries[number] += [start + offset for offset in offsets]
    targets = [target for item in items for target in item.targets]
    return Packed(
        input_ids=grid[0],
        position_ids=grid[1],
        item=grid[2],
        branch=grid[3],
        query=torch.tensor([*chain.from_iterable(queries)]),
        label=torch.tensor([*chain.from_iterable(targets)]),
        owner=torch.tensor([number for number, target in enumerate(targets) for _ in target]),
    )


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """The tokens of one stretch of a row, and where in it target tokens are predicted."""

    ids: list[int]
    positions: list[int]
    branches: list[int]
    queries: list[list[int]]
    """Of each target: offsets in the stretch."""


def _stretch(items: Sequence[Item], group: Beginning) -> _Stretch:
    """What the items of a group begin with, then the rest of each with its target, or the targets of the only one."""
    p = group.shared
    ids = [*items[group.indices[0]].prompt[:p]]
    positions, branches, queries = [*range(p)], [0] * p, []
    pairs = ((items[index].prompt, target) for index in group.indices for target in items[index].targets)
    for branch, (prompt, target) in enumerate(pairs, start=1):
        first, tokens = len(ids), [*prompt[p:], *target[:-1]]
        ids += tokens
        positions += range(p, p + len(tokens))
        branches += [branch] * len(tokens)
        queries.append([p - 1, *range(first, len(ids))][-len(target) :])
    return _Stretch(ids=ids, positions=positions, branches=branches, queries=queries)


def _pack_isolated(items: Sequence[Item]) -> Packed:
    """A row for every pair of prompt and target."""
    pairs = [
        (index, branch, item.prompt, target)
        for index, item in enumerate(items)
        for branch, target in enumerate(item.targets, start=1)
    ]
    t = max(item.pair_length for item in items)
    grid = torch.zeros(4, len(pairs), t, dtype=torch.long)  # ids, positions, item, branch
    grid[2] = -1
    query: list[int] = []
    label: list[int] = []
    owner: list[int] = []
    for row, (index, branch, prompt, target) in enumerate(pairs):
        p, length = len(prompt), len(prompt) + len(target) - 1
        grid[0, row, :length] = torch.tensor([*prompt, *target[:-1]])
        grid[1, row, :length] = torch.arange(length)
        grid[2, row, (0 if branch == 1 else p) : length] = index
        grid[3, row, p:length] = branch
        query += range(row * t + p - 1, row * t + length)
        label += target
        owner += [row] * len(target)
    return Packed(
        input_ids=grid[0], position_ids=grid[1], item=grid[2], branch=grid[3], query=torch.tensor(query),
        label=torch.tensor(label), owner=torch.tensor(owner), isolated=True,
    )  # fmt: skip


def fill_up(texts: Sequence[Sequence[int]], length: int, filler: int) -> Filled:
    """Every text as a row of `length` tokens, `filler` behind it, all of which but the first are target tokens."""
    b = len(texts)
    ids = torch.tensor([[*text, *[filler] * (length - len(text))] for text in texts])
    positions = torch.arange(length).expand(b, length)
    rows = torch.arange(b)[:, None].expand(b, length)
    is_text = positions < torch.tensor([len(text) for text in texts])[:, None]
    return Filled(
        input_ids=ids, position_ids=positions, item=torch.where(is_text, rows, -1), branch=torch.zeros_like(ids),
        query=(rows * length + positions)[:, :-1].flatten(), label=ids[:, 1:].flatten(), owner=rows[:, 1:].flatten(),
    )  # fmt: skip


def _shortest(lengths: Sequence[int]) -> tuple[list[tuple[int, int]], int, int]:
    """(row, column) of each item, the number of rows and their length: of all lengths of a row the cheapest.

    A token costs what its products with the weights do, and attention over its row: b t (6 hidden + t), about.
    """
    longest, total = max(lengths), sum(lengths)
    capacities = {longest, *(min(tokens, total) for tokens in ROW_TOKENS if tokens > longest)}
    fitted = [(*_best_fit(lengths, capacity), capacity) for capacity in sorted(capacities)]
    return min(fitted, key=lambda fit: fit[1] * fit[2] * (_TOKEN_COST + fit[2]))


def _best_fit(lengths: Sequence[int], capacity: int) -> tuple[list[tuple[int, int]], int]:
    """(row, column) of each item, longest first into the fullest row with room, and the number of rows."""
    rows_by_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rows, origins = 0, [(0, 0)] * len(lengths)
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        room = next((room for room in range(lengths[index], capacity + 1) if rows_by_room[room]), None)
        row = rows if room is None else rows_by_room[room].pop()
        if room is None:
            rows, room = rows + 1, capacity
        origins[index] = (row, capacity - room)
        rows_by_room[room - lengths[index]].append(row)
    return origins, rows


def side_by_side(parts: Sequence[Packed]) -> Packed:
    """Several packings as one forward pass: their rows one after another, padded to the longest, items counted on."""
    t = max(packed.item.shape[1] for packed in parts)

    def rows(grids: Sequence[Tensor], empty: int) -> Tensor:
        return torch.cat([torch.nn.functional.pad(grid, (0, t - grid.shape[1]), value=empty) for grid in grids])

    query: list[Tensor] = []
    owner: list[Tensor] = []
    item: list[Tensor] = []
    first_row = targets = items = 0
    for packed in parts:
        b, length = packed.item.shape
        query.append((packed.query // length + first_row) * t + packed.query % length)
        owner.append(packed.owner + targets)
        item.append(torch.where(packed.item < 0, -1, packed.item + items))
        first_row, targets, items = first_row + b, targets + packed.targets, items + int(packed.item.max()) + 1
    return Packed(
        input_ids=rows([packed.input_ids for packed in parts], 0),
        position_ids=rows([packed.position_ids for packed in parts], 0),
        item=rows(item, -1),
        branch=rows([packed.branch for packed in parts], 0),
        query=torch.cat(query),
        label=torch.cat([packed.label for packed in parts]),
        owner=torch.cat(owner),
        isolated=parts[0].isolated,
    )


def batches(items: Sequence[HasLength], tokens: int, order: Iterable[int] | None = None) -> list[list[int]]:
    """Indices of `items` cut into batches of at most `tokens` tokens, in the given order (default: as they come).

    An item longer than `tokens` gets a batch of its own.
    """
    cut: list[list[int]] = []
    room = 0
    for index in range(len(items)) if order is None else order:
        if items[index].length > room or not cut:
            cut.append([])
            room = tokens
        cut[-1].append(index)
        room -= items[index].length
    return cut


def batches_by_beginning(items: Sequence[Item], tokens: int) -> list[list[int]]:
    """The same, longest first, of what is packed with `share`: a beginning that items share counts once, in one batch.

    Items that share one and take more than `tokens` together get a batch of their own.
    """
    groups = common_beginnings(items)
    lengths = [Length(length=group.length(items)) for group in groups]
    cut = batches(lengths, tokens, sorted(range(len(groups)), key=lambda number: -lengths[number].length))
    return [[index for number in numbers for index in groups[number].indices] for numbers in cut]
