"""A basis for LoRA's inputs in which what ordinary text uses costs most to change.

With C = E[x x^T] of a module's inputs under the unedited model, scaled to a mean diagonal of 1, and

    L L^T = C + lambda I        P = L^-1

the adapter's path is B A P x in place of B A x. An input that is common in C is short after P, so that a step of
gradient descent changes the output for it little, and for a rare input (the subject of an edit) much. MEMIT (arXiv
2210.07229, equation 14) and AlphaEdit (arXiv 2410.02355) weigh keys by C in closed form for the same reason. What is
stored is a plain adapter: its A is A P.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from lib.models.likelihood import hidden_states
from lib.models.packing import Item, batches, pack


def whitening(
    model: nn.Module, items: Sequence[Item], paths: Sequence[str], ridge: float, micro_batch_tokens: int
) -> dict[str, Tensor]:
    """P [d_in, d_in] float32 of every module, by its path.

    Args:
        items: what C is taken over: all tokens of prompt and first target but the first.
        paths: linear modules of the model.
        ridge: lambda, in units of C's mean diagonal.
    """
    moments = input_moments(model, items, paths, micro_batch_tokens)
    return {path: _inverse_factor(moment, ridge) for path, moment in moments.items()}


@torch.no_grad()
def input_moments(
    model: nn.Module, items: Sequence[Item], paths: Sequence[str], micro_batch_tokens: int
) -> dict[str, Tensor]:
    """E[x x^T] of every module's inputs, [d_in, d_in] float32, by its path."""
    sums: dict[str, Tensor] = {}
    count = 0
    order = sorted(range(len(items)), key=lambda index: -items[index].length)
    device = next(model.parameters()).device
    for batch in batches(items, micro_batch_tokens, order):
        packed = pack([items[index] for index in batch]).to(device)
        counted = (packed.item >= 0) & (packed.position_ids > 0)  # [b, t]
        with _adding(model, paths, sums, counted):
            hidden_states(model, packed)
        count += int(counted.sum())
    return {path: total / count for path, total in sums.items()}


def _inverse_factor(moment: Tensor, ridge: float) -> Tensor:
    """P for C: the factor is found in float64, on the CPU."""
    scaled = moment.double().cpu() / moment.double().diagonal().mean().cpu()
    identity = torch.eye(len(scaled), dtype=torch.float64)
    factor = torch.linalg.cholesky(scaled + ridge * identity)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse.float().to(moment.device)


@contextmanager
def _adding(model: nn.Module, paths: Sequence[str], sums: dict[str, Tensor], counted: Tensor) -> Iterator[None]:
    """Within it, every pass adds x x^T of the counted places to the sums."""

    def add_to(path: str) -> None:
        def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows = inputs[0][counted].float()
            product = rows.T @ rows
            sums[path] = sums[path] + product if path in sums else product

        stack.callback(model.get_submodule(path).register_forward_pre_hook(add).remove)

    with ExitStack() as stack:
        for path in paths:
            add_to(path)
        yield
