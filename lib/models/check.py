"""The check at load: is a model that reads packed rows, or writes with a cache, right? If not, which way is?

Two items with two targets each, of random token ids, and one item longer than the windows of attention are scored

    alone       a plain forward pass with nothing but ids, a pair a row, all of one length: the reference
    shared      packed into one row by mask and position ids, the windows of windowed layers by position distance
    isolated    a row a pair, padded behind, without mask and position ids

and the first way that gives the reference's -log p of every target is taken. A window of more than LONGEST tokens is
set to WINDOW for the time of the check, in the model's config, where transformers reads it in every pass: the code of
the masks is the same, and the long item need not have thousands of tokens. A kind of window that packing does not know
is not tried: such a model is read isolated. The pairs' first tokens are then read one by one with a cache, as texts are
written (lib/generation): first in one batch padded in front, then a pair at a time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lib.core.errors import InputError
from lib.models.cached import batched_nll, plain_nll, single_nll
from lib.models.likelihood import score_targets
from lib.models.packing import Item, Packed, fill_up, pack
from lib.models.reading import Reading, Rows, Texts, record, recorded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Nats a target. Packed rows and single ones are computed by other kernels, so rounding differs."""
TOLERANCE_16_BIT, SHARE_16_BIT = 0.1, 0.01
"""In 16-bit dtypes: nats a target, and the share of its -log p (some 50 nats for random ids) on top."""
STEPS = 3
"""Tokens of each target that are read one by one."""
LONGEST, WINDOW = 32, 8
"""Tokens: the longest window that is checked as it is, and what a longer one is set to."""
_OTHER_WINDOWS = re.compile(r"window|attention_chunk|local_attention")
_NO_WINDOWS = {"sliding_window", "max_window_layers", "sliding_window_pattern", "_sliding_window_pattern"}


def reading_of(model: PreTrainedModel) -> Reading:
    """How `model` has to be read: checked where that is not known yet. Raises InputError where no way is right."""
    reading = recorded(model)
    if reading is None:
        reading = check(model)
        record(model, reading)
    return reading


def packed_for(model: nn.Module, items: Sequence[Item], *, share: bool = False) -> Packed:
    """`items` packed as `model` has to read them, on its device.

    Args:
        share: what prompts begin with in common is read once, where the model obeys a mask (beginnings.py).

    Raises InputError where an item has more tokens than the model positions, or a token that its embedding lacks.
    """
    reading = reading_of(model)
    _check_positions(model, reading, max((item.pair_length for item in items), default=0))
    return _placed(model, reading, pack(items, isolated=reading.rows == "isolated", share=share))


def filled_for(model: nn.Module, texts: Sequence[Sequence[int]], length: int, filler: int) -> Packed:
    """`texts` as rows of `length` tokens, `filler` behind each, on the model's device; raises as `packed_for` does.

    All tokens but a row's first are target tokens. A model that obeys no mask sees what rows are filled with.
    """
    reading = reading_of(model)
    if reading.rows == "isolated":
        rows = [(*text, *[filler] * (length - len(text))) for text in texts]
        return packed_for(model, [Item(prompt=row[:1], targets=(row[1:],)) for row in rows])
    _check_positions(model, reading, length - 1)
    return _placed(model, reading, fill_up(texts, length, filler))


def _check_positions(model: nn.Module, reading: Reading, longest: int) -> None:
    if reading.positions is not None and longest > reading.positions:
        raise InputError(
            f"{type(model).__name__} has positions for {reading.positions} tokens; a prompt and its target take "
            f"{longest}. Shorten the prompt, or use a model with more positions"
        )


def _placed(model: nn.Module, reading: Reading, packed: Packed) -> Packed:
    if (largest := int(torch.maximum(packed.input_ids.max(), packed.label.max()))) >= reading.vocabulary:
        raise InputError(
            f"{type(model).__name__} has {reading.vocabulary} token embeddings; a text has token {largest}: the "
            "tokenizer is not this model's, or has tokens that were added without an embedding"
        )
    return packed.to(next(model.parameters()).device)


@torch.no_grad()
def check(model: PreTrainedModel, scored: bool = True) -> Reading:
    """Try the ways of reading `model` in turn. Raises InputError, which names its class, where no way is right.

    Args:
        scored: False for a model that only writes, with its own logits: its rows are not checked.
    """
    config = model.base_model.config
    vocabulary = model.get_input_embeddings().weight.shape[0]
    with _without_dropout(model), _short_window(config) as window:
        items = _items(vocabulary, window or 0, model.device)
        pairs = [(item.prompt, target) for item in items for target in item.targets]
        plain = plain_nll(model, pairs)
        items, lengths = _cut(items)
        expected = torch.stack([nll[:length].sum() for nll, length in zip(plain, lengths, strict=True)])
        ways: tuple[Rows, ...] = ("isolated",) if _other_window(config) else ("shared", "isolated")
        ways_of_rows = {way: partial(_packed_nll, model, items, way) for way in ways}
        rows, difference = _first_right(model, ways_of_rows, expected) if scored else ("shared", math.nan)
        firsts = [(prompt, target[:STEPS]) for prompt, target in pairs[::2]]  # an item each
        expected_firsts = torch.stack([nll[:STEPS].sum() for nll in plain[::2]])
        ways_of_texts: dict[Texts, Callable[[], Tensor]] = {
            "batched": partial(batched_nll, model, firsts), "single": partial(single_nll, model, firsts),
        }  # fmt: skip
        texts = _fastest_texts(model, rows, ways_of_texts, expected_firsts)
    return Reading(
        rows=rows, texts=texts, positions=positions(model.config), vocabulary=vocabulary, difference=difference
    )


def positions(config: Any) -> int | None:
    """Tokens that a model of this config has positions for; None: any number."""
    text = config.get_text_config()
    values = (getattr(text, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def tolerance(dtype: torch.dtype, expected: Tensor) -> float:
    """Largest difference of a target's -log p, in nats, that passes for rounding, with `expected` the targets' own."""
    return TOLERANCE.get(dtype, TOLERANCE_16_BIT + SHARE_16_BIT * expected.max().item())


def _first_right(
    model: PreTrainedModel, ways: Mapping[Rows, Callable[[], Tensor]], expected: Tensor
) -> tuple[Rows, float]:  # fmt: skip
    failures = []
    for way, nll in ways.items():
        difference = _difference(nll, expected)
        if isinstance(difference, float) and difference <= tolerance(model.dtype, expected):
            return way, difference
        failures.append(f"{way} rows: {difference}")
    raise InputError(
        f"{type(model).__name__}: wanted the likelihoods of one plain forward pass a pair within "
        f"{tolerance(model.dtype, expected):g} nats; found {'; '.join(failures)}. The model reads more than the "
        "tokens before, or changes its logits after the output embedding (a cap, a scale): it is not supported, use "
        "another model"
    )


def _fastest_texts(
    model: PreTrainedModel, rows: Rows, ways: Mapping[Texts, Callable[[], Tensor]], expected: Tensor
) -> Texts:  # fmt: skip
    """A batch is padded and masked, which a model that needs isolated rows does not obey."""
    for way, nll in ways.items():
        if way == "batched" and rows == "isolated":
            continue
        difference = _difference(nll, expected)
        if isinstance(difference, float) and difference <= tolerance(model.dtype, expected):
            return way
    return "recomputed"


def _difference(nll: Callable[[], Tensor], expected: Tensor) -> float | str:
    """The largest difference in nats, or what went wrong: a model may refuse a mask or a cache in any way it likes."""
    try:
        difference = (nll() - expected).abs().max().item()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a model's own code raises
        return f"{type(error).__name__} ({str(error)[:120]})"
    return float(difference)


def _packed_nll(model: PreTrainedModel, items: Sequence[Item], rows: Rows) -> Tensor:
    return score_targets(model, pack(items, isolated=rows == "isolated").to(model.device)).nll


def _items(vocabulary: int, window: int, device: torch.device) -> list[Item]:
    """Two items with two targets each and one with a prompt longer than the window, all pairs of one length.

    The token ids are drawn with a fixed seed.
    """
    stream = torch.Generator().manual_seed(0)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, vocabulary, (count,), generator=stream).tolist())

    length = window + 4 + STEPS
    prompts = [(2, 2), (3, 2), (window + 4, 1)]
    return [
        Item(prompt=ids(count), targets=tuple(ids(length - count) for _ in range(targets)))
        for count, targets in prompts
    ]


def _cut(items: Sequence[Item]) -> tuple[list[Item], list[int]]:
    """The items with targets of unlike lengths, so that their rows are, and the length of every target."""
    cut = [
        replace(item, targets=tuple(target[: len(target) - number] for number, target in enumerate(item.targets)))
        for item in items
    ]
    return cut, [len(target) for item in cut for target in item.targets]


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    """Within it, the model is in evaluation mode; restored on exit."""
    in_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(in_training)


@contextmanager
def _short_window(config: Any) -> Iterator[int | None]:
    """Within it, the config's sliding window is at most LONGEST tokens, which it hands out; restored on exit."""
    window = getattr(config, "sliding_window", None)
    if not isinstance(window, int) or window <= LONGEST:
        yield window if isinstance(window, int) else None
        return
    config.sliding_window = WINDOW
    try:
        yield WINDOW
    finally:
        config.sliding_window = window


def _other_window(config: Any) -> bool:
    """Whether the config has a window of a kind that packing does not know."""
    return any(
        _OTHER_WINDOWS.search(name) and name not in _NO_WINDOWS and type(value) is int and value > 0
        for name, value in config.to_dict().items()
    )
