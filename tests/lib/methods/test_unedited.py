"""What edits made each alone share: the unedited model's states and moments, each read once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from lib.core.params import Lora
from lib.edits.adapter import target_modules
from lib.methods.training.example import Example
from lib.methods.training.unedited import HeldStates, Unedited
from lib.methods.training.whitening import InputMoment, input_moments
from lib.models.packing import Item
from tests.helpers.models import TARGETS, VOCABULARY, tiny_model


def held(*prompt: int, tokens: int = 2) -> Example:
    return Example(item=Item(prompt=prompt, targets=(tuple(range(9, 9 + tokens)),)), held_tokens=tokens)


class Reader:
    """Gives every held token a state that tells its example's prompt and its number, and counts them by pass."""

    def __init__(self) -> None:
        self.passes: list[int] = []

    def __call__(self, examples: Sequence[Example]) -> torch.Tensor:
        rows = [[example.item.prompt[0], number] for example in examples for number in range(example.held_tokens)]
        self.passes.append(len(rows))
        return torch.tensor(rows)


def expected(*examples: Example) -> list[list[int]]:
    rows: list[list[int]] = Reader()(examples).tolist()
    return rows


def test_states_come_in_order_and_each_is_read_once() -> None:
    states, reader = HeldStates(), Reader()
    first, second, third = held(1), held(2, tokens=3), held(3)
    assert states.of([first, second, first], reader).tolist() == expected(first, second, first)
    assert states.of([third, second], reader).tolist() == expected(third, second)
    assert reader.passes == [2 + 3, 2]


def test_an_item_of_which_more_tokens_are_held_is_another() -> None:
    states, reader = HeldStates(), Reader()
    item = Item(prompt=(1,), targets=((9, 10, 11),))
    examples = [Example(item=item, held_tokens=tokens) for tokens in (1, 2)]
    assert states.of(examples, reader).tolist() == expected(*examples)


def test_edits_share_what_is_general_and_nothing_else() -> None:
    """A text is read by itself, whatever the edit has beside it."""
    reader, texts_and_chats = Reader(), dict[Any, torch.Tensor]()
    text, prompt = replace(held(1), group="texts"), replace(held(2), group="prompts")
    for reads in ([2, 2], [2]):
        states = HeldStates(general=texts_and_chats)
        before = len(reader.passes)
        assert states.of([prompt, text], reader).tolist() == expected(prompt, text)
        assert reader.passes[before:] == reads


def test_moments_are_read_once_and_add_up() -> None:
    model = tiny_model("llama")
    paths = list(target_modules(model, Lora(r=1, alpha=1.0, targets=TARGETS["llama"])))[:3]
    items = [
        Item(prompt=tuple((7 * n + k) % VOCABULARY for k in range(1 + n % 5)), targets=((n % VOCABULARY, 5, 3),))
        for n in range(20)
    ]
    reads = 0

    def read() -> dict[str, InputMoment]:
        nonlocal reads
        reads += 1
        return input_moments(model, items[:15], paths, 64)

    unedited = Unedited()
    assert unedited.moments(read) is unedited.moments(read)
    assert reads == 1
    own, expected_moments = input_moments(model, items[15:], paths, 64), input_moments(model, items, paths, 64)
    for path, moment in unedited.moments(read).items():
        total = moment.plus(own[path])
        torch.testing.assert_close(total.every, expected_moments[path].every, atol=1e-5, rtol=1e-4)
        assert total.scale == pytest.approx(expected_moments[path].scale, rel=1e-4)
        assert total.tokens == expected_moments[path].tokens
