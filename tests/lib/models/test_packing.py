"""Packed rows against one plain forward pass for every pair, for every supported family."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.models.check import reading_of
from lib.models.likelihood import score_targets, token_nll
from lib.models.packing import Item, batches, pack, side_by_side
from lib.models.reading import record
from tests.helpers.models import CONFIGS, VOCABULARY, tiny_model

tokens = st.integers(0, VOCABULARY - 1)
items = st.builds(
    Item,
    prompt=st.lists(tokens, min_size=1, max_size=9).map(tuple),
    targets=st.lists(st.lists(tokens, min_size=1, max_size=5).map(tuple), min_size=1, max_size=3).map(tuple),
)


def alone(model: torch.nn.Module, prompt: tuple[int, ...], target: tuple[int, ...]) -> tuple[float, int]:
    """Sum of -log p and number of argmax tokens, by one unpadded pass over the pair."""
    logits = model(torch.tensor([[*prompt, *target]])).logits[0, len(prompt) - 1 : -1].float()
    targets = torch.tensor(target)
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return nll.item(), int((logits.argmax(-1) == targets).sum())


@pytest.mark.parametrize("family", CONFIGS)
def test_packed_scores_equal_one_pass_a_pair(family: str) -> None:
    model = tiny_model(family)

    @settings(max_examples=15, deadline=None)
    @given(st.lists(items, min_size=1, max_size=12))
    def check(packed_together: list[Item]) -> None:
        scores = score_targets(model, pack(packed_together))
        pairs = [(item.prompt, target) for item in packed_together for target in item.targets]
        expected = [alone(model, *pair) for pair in pairs]
        assert scores.nll.tolist() == pytest.approx([nll for nll, _ in expected], abs=2e-3, rel=1e-4)
        assert scores.tokens.tolist() == [len(target) for _, target in pairs]
        assert scores.correct.tolist() == [correct for _, correct in expected]

    check()


@given(st.lists(items, min_size=1, max_size=30))
def test_rows_hold_every_token_once_and_little_padding(items: list[Item]) -> None:
    packed = pack(items)
    used = sum(item.length for item in items)
    assert int((packed.item >= 0).sum()) == used
    # First-fit fills all rows but one more than half, so waste is bounded by half plus a row.
    assert packed.item.numel() <= 2 * used + packed.item.shape[1]


@pytest.mark.parametrize(
    ("lengths", "rows", "tokens"),
    [
        ([5, 9], 1, 14),  # everything in one row, which is no longer than that
        ([30] * 10, 10, 30),  # twice the longest does not fit into 32 or 48, and leaves nothing in 64 to spare
        ([16] * 12, 12, 16),  # no padding in either: the shortest row, whose attention costs least
        ([40, 24] * 6, 6, 64),
        ([200, 100, 100, 50], 3, 200),  # never shorter than an item
    ],
)
def test_rows_are_as_long_as_leaves_least_to_compute(lengths: list[int], rows: int, tokens: int) -> None:
    packed = pack([Item(prompt=(1,) * length, targets=((2,),)) for length in lengths])
    assert tuple(packed.item.shape) == (rows, tokens)


@given(st.lists(items, min_size=1, max_size=9))
def test_isolated_rows_are_one_pair_each_and_count_every_token_once(items: list[Item]) -> None:
    packed = pack(items, isolated=True)
    assert len(packed.item) == packed.targets == sum(len(item.targets) for item in items)
    assert int((packed.item >= 0).sum()) == sum(item.length for item in items)
    shared = pack(items)
    assert torch.equal(packed.label, shared.label)
    assert torch.equal(packed.owner, shared.owner)
    assert torch.equal(packed.position_ids.flatten()[packed.query], shared.position_ids.flatten()[shared.query])


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_isolated_rows_score_as_shared_ones_do(family: str) -> None:
    model = tiny_model(family)
    several = [Item(prompt=(1, 2, 3), targets=((4, 5), (6,))), Item(prompt=(7,), targets=((8, 9, 10),))]
    together = side_by_side([pack([item], isolated=True) for item in several])
    assert together.isolated
    for packed in (pack(several, isolated=True), together):
        assert score_targets(model, packed).nll.tolist() == pytest.approx(
            score_targets(model, pack(several)).nll.tolist(), abs=1e-4
        )


def test_shared_rows_of_a_model_that_needs_isolated_ones_are_refused() -> None:
    model = tiny_model("llama")
    record(model, replace(reading_of(model), rows="isolated"))
    with pytest.raises(ValueError, match="needs isolated rows"):
        score_targets(model, pack([Item(prompt=(1,), targets=((2,),))]))


@given(st.lists(items, min_size=1, max_size=30), st.integers(1, 60))
def test_batches_hold_every_item_once_within_the_bound(items: list[Item], bound: int) -> None:
    cut = batches(items, bound)
    assert [index for batch in cut for index in batch] == list(range(len(items)))
    for batch in cut:
        assert len(batch) == 1 or sum(items[index].length for index in batch) <= bound


def test_token_nll_is_that_of_the_scores() -> None:
    model = tiny_model("llama")
    packed = pack([Item(prompt=(1, 2, 3), targets=((4, 5), (6,))), Item(prompt=(7,), targets=((8, 9, 10),))])
    assert token_nll(model, packed).sum().item() == pytest.approx(score_targets(model, packed).nll.sum().item())


def test_an_empty_pack_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one item"):
        pack([])
