"""The sum of two edits: memories and weights add up, text before prompts is refused by the editor's name."""

import pytest
import torch

from lib.core.errors import InputError
from lib.edits.edit import Edit
from lib.edits.memory import Memory
from lib.edits.notes import Notebook
from lib.edits.updates import LowRank
from lib.handover.sums import summed


def memory(first: float) -> Edit:
    """With one key at (first, 3), of a radius of 1."""
    entry = Memory(
        keys=torch.tensor([[first, 3.0]]), values=torch.ones(1, 4), radii=torch.ones(1), labels=torch.tensor([1])
    )
    return Edit(updates={}, memories={"m": entry}, info={"editor": "grace"})


def low_rank(rank: int) -> Edit:
    update = LowRank(left=torch.ones(4, rank), right=torch.ones(rank, 8))
    return Edit(updates={"m": update}, info={"editor": "lora"})


def test_the_keys_of_two_memories_stand_side_by_side() -> None:
    assert summed(memory(0.0), memory(5.0)).memories["m"].keys[:, 0].tolist() == [0.0, 5.0]


def test_a_memory_and_weights_work_together() -> None:
    total = summed(memory(0.0), low_rank(2))
    assert total.memories["m"].keys.tolist() == [[0.0, 3.0]]
    assert total.updates["m"].shape == (4, 8)


@pytest.mark.parametrize(
    "text",
    [
        Edit(updates={}, contexts={"a": "New Fact: "}, info={"editor": "ike"}),
        Edit(
            updates={}, notes=Notebook(texts={"a": "b"}, encoder="hashing", count=1, threshold=0.5),
            info={"editor": "rag"},
        ),
    ],
)  # fmt: skip
def test_text_before_prompts_is_refused(text: Edit) -> None:
    with pytest.raises(InputError, match=f"found one by {text.info['editor']}, text before prompts"):
        summed(low_rank(1), text)
