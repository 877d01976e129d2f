"""A basis of a module's inputs in which those of ordinary text are equally long in every direction.

With C the second moment of a module's inputs under the unedited model, scaled to a mean diagonal of 1, and

    L L^T = C + lambda I        P = L^-1

(the scale is that of all tokens but the first of a text, while C has them all: the input of some layers at the first
token, on which attention rests, is hundreds of times as long as any other, and an adapter that moved it would move
every text), an input x that is common in C is short after P, and a rare one (the subject of an edit) long. An adapter
takes its directions in that basis (directions.py). MEMIT (arXiv 2210.07229, equation 14) and AlphaEdit (arXiv
2410.02355) weigh keys by C in closed form for the same reason.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lib.methods.training.inputs import See, read_inputs
from lib.models.packing import Item, Packed


def whitening(moments: Mapping[str, "InputMoment"], ridge: float) -> dict[str, Tensor]:
    """P [d_in, d_in] float32 of every module, by its path.

    Args:
        moments: of the modules' inputs, by path.
        ridge: lambda, in units of C's mean diagonal.
    """
    return {path: _inverse_factor(moment, ridge) for path, moment in moments.items()}


@dataclass(frozen=True, kw_only=True)
class InputMoment:
    """The second moment of a module's inputs, over the tokens of many texts."""

    every: Tensor
    """[d_in, d_in]: the sum of x x^T over all tokens, per token that is no text's first."""
    scale: float
    """Mean diagonal of the same without the first tokens."""
    tokens: int
    """How many those are."""

    def plus(self, more: "InputMoment") -> "InputMoment":
        """The moment over the texts of both."""
        tokens = self.tokens + more.tokens
        share = more.tokens / tokens
        return InputMoment(
            every=torch.lerp(self.every, more.every, share),
            scale=(1 - share) * self.scale + share * more.scale,
            tokens=tokens,
        )


def input_moments(
    model: nn.Module, items: Sequence[Item], paths: Sequence[str], micro_batch_tokens: int,
    show: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> dict[str, InputMoment]:  # fmt: skip
    """The second moment of every module's inputs, float32, by its path.

    Args:
        items: what it is taken over: all tokens of prompt and targets but the targets' last.
        paths: linear modules of the model.
        show: passes the batches on, and tells how far they are.
    """
    sums: dict[str, Tensor] = {}
    squares: dict[str, float] = {}
    later_tokens = 0

    def add_to_sums(packed: Packed, batch: Sequence[int]) -> See:
        nonlocal later_tokens
        tokens = packed.item >= 0  # [b, t]
        later = tokens & (packed.position_ids > 0)
        later_tokens += int(later.sum())

        def add(path: str, inputs: Tensor) -> None:
            rows = inputs[tokens].float()
            product = rows.T @ rows
            sums[path] = sums[path] + product if path in sums else product
            squares[path] = squares.get(path, 0.0) + float(inputs[later].double().square().sum())

        return add

    read_inputs(model, items, paths, micro_batch_tokens, add_to_sums, show)
    return {
        path: InputMoment(
            every=total / later_tokens, scale=squares[path] / later_tokens / len(total), tokens=later_tokens
        )
        for path, total in sums.items()
    }


def _inverse_factor(moment: InputMoment, ridge: float) -> Tensor:
    """P for C: the factor is found in float64, on the CPU."""
    scaled = moment.every.double().cpu() / moment.scale
    identity = torch.eye(len(scaled), dtype=torch.float64)
    factor = torch.linalg.cholesky(scaled + ridge * identity)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse.float().to(moment.every.device)
