"""Training examples on disk are those in memory, in their order, and train to the same bytes."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.core.params import Lora
from lib.edits.adapter import new_adapter
from lib.methods.training.example import Example
from lib.methods.training.loop import train
from lib.methods.training.objective import Objective, references, with_reference
from lib.methods.training.pairs import StoredExamples, is_whole, write_examples
from lib.models.packing import Item
from lib.runtime.distributed import Distributed
from tests.helpers.models import TARGETS, tiny_model
from tests.lib.methods.test_training import schedule

TWO = [Item(prompt=(n + 1, 5), targets=((n + 2, 3), (7,))) for n in range(6)]
ONE = [Item(prompt=(n + 1, n + 2, 9), targets=((4, n + 20),)) for n in range(7)]
EXAMPLES = [Example(item=item) for pair in zip(TWO, ONE, strict=False) for item in pair]

tokens = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4).map(tuple)
items = st.builds(Item, prompt=tokens, targets=st.lists(tokens, min_size=1, max_size=2).map(tuple))


@given(st.lists(items.map(lambda item: Example(item=item)), max_size=6))
def test_what_is_written_is_read_in_order(tmp_path_factory: pytest.TempPathFactory, examples: list[Example]) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    write_examples(folder, iter(examples))
    stored = StoredExamples.of(folder)
    assert list(stored) == examples
    assert [len(stored), [example.length for example in stored]] == [
        len(examples),
        [example.length for example in examples],
    ]
    assert stored[1:-1] == examples[1:-1]
    assert not examples or stored[-1] == examples[-1]


def test_only_what_was_written_to_the_end_is_whole(tmp_path: Path) -> None:
    def cut() -> Iterator[Example]:
        yield EXAMPLES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_examples(tmp_path, cut())
    assert not is_whole(tmp_path)
    with pytest.raises(FileNotFoundError):
        StoredExamples.of(tmp_path)
    write_examples(tmp_path, EXAMPLES)
    assert is_whole(tmp_path)
    assert list(StoredExamples.of(tmp_path)) == EXAMPLES


@pytest.mark.parametrize(
    "wrong",
    [Example(item=ONE[0], text=True), Example(item=Item(prompt=(1,), targets=((), (2,)))),
     Example(item=Item(prompt=(1,), targets=((1,), (2,), (3,)))), Example(item=TWO[0], reference=(0.0, 1.0))],
)  # fmt: skip
def test_what_the_files_cannot_hold_is_refused(tmp_path: Path, wrong: Example) -> None:
    with pytest.raises(ValueError, match="example 1: wanted a prompt with one or two targets"):
        write_examples(tmp_path, [EXAMPLES[0], wrong])


def test_references_are_those_of_examples_in_memory(tmp_path: Path) -> None:
    model = tiny_model("llama")
    write_examples(tmp_path, EXAMPLES)
    stored = StoredExamples.of(tmp_path)
    examples = stored.with_references(references(model, stored, micro_batch_tokens=9))
    assert list(examples) == with_reference(model, EXAMPLES, micro_batch_tokens=9)
    assert [example.reference is None for example in examples] == [
        len(example.item.targets) == 1 for example in EXAMPLES
    ]


@pytest.mark.parametrize("dpo", [0.0, 0.4])
def test_training_from_disk_gives_the_bytes_of_training_from_memory(tmp_path: Path, dpo: float) -> None:
    write_examples(tmp_path, EXAMPLES)
    model, objective = tiny_model("llama"), Objective(dpo=dpo)
    stored = StoredExamples.of(tmp_path)
    results = []
    for examples in (
        with_reference(model, EXAMPLES, 24) if dpo else EXAMPLES,
        stored.with_references(references(model, stored, 24)) if dpo else stored,
    ):
        adapter = new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS["llama"]), seed=0)
        with adapter.attached(model):
            train(
                model, adapter.parameters(), examples, schedule(), Distributed(), lambda steps: steps, None, objective
            )
        results.append([parameter.detach() for parameter in adapter.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_the_files_are_mapped_and_hold_four_bytes_a_token(tmp_path: Path) -> None:
    write_examples(tmp_path, EXAMPLES)
    stored = StoredExamples.of(tmp_path)
    assert isinstance(stored.tokens, np.memmap)
    count = sum(len(example.item.prompt) + sum(map(len, example.item.targets)) for example in EXAMPLES)
    assert (tmp_path / "tokens.i32").stat().st_size == 4 * count == array("i").itemsize * count
