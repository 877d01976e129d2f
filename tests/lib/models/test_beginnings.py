"""What prompts begin with in common is read once, and nothing that is computed changes by it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.models.beginnings import LEAST, LONGEST, Beginning, common_beginnings
from lib.models.likelihood import token_nll
from lib.models.packing import Item, batches_by_beginning, pack
from tests.helpers.models import CONFIGS, VOCABULARY, tiny_model

TEMPLATES = [tuple(range(1, 1 + LEAST + extra)) for extra in (0, 4)] + [(7,) * (LEAST - 1), ()]
"""The second goes on as the first ends; the third is too short to be shared, the fourth nothing."""
tokens = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6).map(tuple)
items = st.builds(
    lambda template, question, targets: Item(prompt=(*template, *question), targets=targets),
    st.sampled_from(TEMPLATES), tokens, st.lists(tokens, min_size=1, max_size=2).map(tuple),
)  # fmt: skip


@pytest.mark.parametrize("family", CONFIGS)
def test_every_target_token_is_as_likely_as_without_sharing_and_has_the_same_gradient(family: str) -> None:
    model = tiny_model(family)
    weight = next(model.parameters())

    @settings(max_examples=10, deadline=None)
    @given(st.lists(items, min_size=1, max_size=12))
    def check(packed_together: list[Item]) -> None:
        plain, shared = pack(packed_together), pack(packed_together, share=True)
        assert torch.equal(plain.label, shared.label)
        assert torch.equal(plain.owner, shared.owner)
        expected, nll = token_nll(model, plain), token_nll(model, shared)
        assert torch.allclose(nll, expected, atol=2e-3, rtol=1e-4)
        gradient, gradient_unshared = (torch.autograd.grad(values.mean(), weight)[0] for values in (nll, expected))
        assert torch.allclose(gradient, gradient_unshared, atol=1e-3, rtol=1e-3)

    weight.requires_grad_(True)
    try:
        check()
    finally:
        weight.requires_grad_(False)


@given(st.lists(items, min_size=1, max_size=30))
def test_every_item_is_in_one_group_whose_prompts_begin_alike(items: list[Item]) -> None:
    groups = common_beginnings(items)
    assert sorted(index for group in groups for index in group.indices) == list(range(len(items)))
    for group in groups:
        assert len({items[index].prompt[: group.shared] for index in group.indices}) == 1
        alone = sum(items[index].length for index in group.indices)
        assert len(group.indices) == 1 or (group.shared >= LEAST and group.length(items) <= LONGEST)
        assert len(group.indices) == 1 or group.length(items) < alone
    packed = pack(items, share=True)
    assert int((packed.item >= 0).sum()) == sum(group.length(items) for group in groups)


def test_questions_in_one_template_take_it_once() -> None:
    questions = [Item(prompt=(*TEMPLATES[0], 30 + n, 40 + n), targets=((50, 51),)) for n in range(5)]
    [group] = common_beginnings(questions)
    assert (group.shared, group.length(questions)) == (LEAST, LEAST + 5 * 3)
    assert int((pack(questions).item >= 0).sum()) == 5 * (LEAST + 3)


def test_a_group_is_no_longer_than_a_row() -> None:
    questions = [Item(prompt=(*TEMPLATES[0], *range(n, n + 20)), targets=((50,),)) for n in range(12)]
    groups = common_beginnings(questions)
    assert [len(group.indices) for group in groups] == [5, 5, 2]
    assert max(group.length(questions) for group in groups) <= LONGEST


def test_a_beginning_of_most_tokens_is_shared_however_long_it_is() -> None:
    demonstrations = tuple(range(1, 50)) * 10
    questions = [Item(prompt=(*demonstrations, 50 + n), targets=((50,), (51, 52))) for n in range(14)]
    [group] = common_beginnings(questions)
    assert (group.shared, group.length(questions)) == (490, 490 + 14 * (1 + 2))
    assert batches_by_beginning(questions, 64) == [[*range(14)]]


def test_prompts_that_are_the_beginning_itself_and_items_of_two_targets() -> None:
    same = [Item(prompt=TEMPLATES[0], targets=((50, 51),)), Item(prompt=TEMPLATES[0], targets=((52,),))]
    pair = Item(prompt=TEMPLATES[0], targets=((50,), (51,)))
    assert common_beginnings([same[0], pair, same[1]]) == [Beginning(indices=(0, 1, 2), shared=LEAST)]


def test_what_two_targets_would_repeat_is_not_shared() -> None:
    rest = tuple(range(30, 30 + LEAST + 4))
    pairs = [Item(prompt=(*TEMPLATES[0], *rest, n), targets=((50,), (51,))) for n in range(2)]
    assert [group.indices for group in common_beginnings(pairs)] == [(0, 1)]  # they share the rest, too
    unlike = [Item(prompt=(*TEMPLATES[0], n, *rest), targets=((50,), (51,))) for n in range(2)]
    assert [group.indices for group in common_beginnings(unlike)] == [(0,), (1,)]


def test_batches_keep_what_shares_a_beginning_together_longest_first() -> None:
    questions = [Item(prompt=(*TEMPLATES[0], 40 + n, 1), targets=((50,),)) for n in range(3)]
    long = Item(prompt=tuple(range(60, 90)), targets=((50,),))
    assert batches_by_beginning([questions[0], long, *questions[1:]], 30) == [[1], [0, 2, 3]]
    assert batches_by_beginning([questions[0], long, *questions[1:]], 60) == [[1, 0, 2, 3]]
