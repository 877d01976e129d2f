"""What prompts begin with in common is read once, and nothing that is computed changes by it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.models.beginnings import LEAST, LONGEST, Beginning, common_beginnings
from lib.models.likelihood import token_nll
from lib.models.packing import Item, pack
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
        assert len(group.indices) == 1 or (group.shared >= LEAST and group.length(items) <= LONGEST)
        assert len(group.indices) == 1 or all(len(items[index].targets) == 1 for index in group.indices)
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


def test_prompts_that_are_the_beginning_itself_and_items_of_two_targets() -> None:
    same = [Item(prompt=TEMPLATES[0], targets=((50, 51),)), Item(prompt=TEMPLATES[0], targets=((52,),))]
    pair = Item(prompt=TEMPLATES[0], targets=((50,), (51,)))
    assert common_beginnings([same[0], pair, same[1]]) == [
        Beginning(indices=(1,), shared=LEAST), Beginning(indices=(0, 2), shared=LEAST)
    ]  # fmt: skip
