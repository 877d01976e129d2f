"""Updates of several edits in one batch: each row computes with its own, and none is copied for its rows."""

import pytest
import torch
from torch import nn

from lib.edits.apply import Gate, applied_by_row, low_rank_branch
from lib.edits.updates import LowRank

D_IN, D_OUT, RANK, TOKENS = 24, 16, 4, 5
ROWS = [1, 3, 2]
MODULES = {"Linear": nn.Linear, "Embedding": nn.Embedding}


def edits(number: int) -> list[dict[str, LowRank]]:
    """Of a model whose one module has the path 0."""
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "0": LowRank(
                left=torch.randn(D_OUT, RANK, generator=generator).requires_grad_(),
                right=torch.randn(RANK, D_IN, generator=generator).requires_grad_(),
            )
        }
        for _ in range(number)
    ]


def batch(kind: str, rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    if kind == "Embedding":
        return torch.randint(D_IN, (rows, TOKENS), generator=generator)
    return torch.randn(rows, TOKENS, D_IN, generator=generator)


@pytest.mark.parametrize("kind", MODULES)
def test_every_row_computes_with_the_update_of_its_edit(kind: str) -> None:
    module, inputs, own = MODULES[kind](D_IN, D_OUT), batch(kind, sum(ROWS)), edits(len(ROWS))
    with applied_by_row(nn.Sequential(module), own, ROWS, scale=0.5):
        together = module(inputs)
    for output, rows, edit in zip(torch.split(together, ROWS), torch.split(inputs, ROWS), own, strict=True):
        with low_rank_branch(module, edit["0"], scale=0.5):
            torch.testing.assert_close(output, module(rows))


def test_with_the_gate_closed_nothing_is_added() -> None:
    module, inputs, gate = nn.Linear(D_IN, D_OUT), batch("Linear", sum(ROWS)), Gate()
    with applied_by_row(nn.Sequential(module), edits(len(ROWS)), ROWS, gate=gate), gate.closed():
        assert torch.equal(module(inputs), nn.functional.linear(inputs, module.weight, module.bias))


def kept_bytes(rows: list[int]) -> int:
    """What the graph of a forward pass keeps for the backward pass, each storage counted once."""
    module, inputs, storages = nn.Linear(D_IN, D_OUT).requires_grad_(False), batch("Linear", sum(rows)), {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        applied_by_row(nn.Sequential(module), edits(len(rows)), rows),
    ):
        module(inputs)
    return sum(storage.nbytes() for storage in storages.values())


def test_more_rows_of_an_edit_keep_their_activations_and_no_copy_of_its_update() -> None:
    more = 40
    activations = 2 * more * TOKENS * (D_IN + RANK) * 4
    assert kept_bytes([1 + more, 1 + more]) - kept_bytes([1, 1]) == activations
