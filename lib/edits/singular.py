"""Singular values of an update, at the cost that its form allows.

An update left @ right of rank r is never multiplied out: with left = Q_l R_l and right^T = Q_r R_r, its singular
values are those of R_l R_r^T, which is [r, r]. Any other matrix goes through the eigenvalues of M M^T (or M^T M, the
smaller) in float64: several times faster than an SVD where the sides differ, and as accurate as float32 data allow,
since what squaring loses lies below 1e-8 of the largest value.

The largest value alone comes from a Lanczos iteration where the matrix is wide: some hundred products with a vector.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lib.edits.updates import LowRank, Matrix

_EXACT_SIDE = 512
"""Up to this smaller side all singular values cost less than the iteration."""
_STEPS = 200
_TOLERANCE = 1e-5
"""Of the squared value: the residual at which the iteration stops, which bounds its error."""


def singular_values(update: Matrix) -> Tensor:
    """[k], descending, float64; those of a low-rank update beyond its rank are left out."""
    if not isinstance(update, LowRank):
        return _values(update.dense())
    left, right = torch.linalg.qr(update.left.float()).R, torch.linalg.qr(update.right.float().T).R
    return _values(left @ right.T)


def largest_singular_value(weight: Tensor) -> float:
    """The spectral norm of a matrix, to a relative 1e-5; its time stays bounded whatever the matrix's size."""
    wide = _wide(weight)
    return float(_values(wide)[0]) if len(wide) <= _EXACT_SIDE else _lanczos(wide.float())


def _lanczos(wide: Tensor) -> float:
    """The square root of the largest Ritz value of M M^T on a Krylov space, kept orthogonal by Gram-Schmidt, twice."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(len(wide), generator=generator).to(wide.device)
    basis = torch.zeros(len(wide), _STEPS, device=wide.device)
    diagonal: list[float] = []
    beside: list[float] = []
    value = 0.0
    for step in range(_STEPS):
        basis[:, step] = vector / vector.norm()
        vector = wide @ (wide.T @ basis[:, step])
        diagonal.append(float(vector @ basis[:, step]))
        for _ in range(2):
            vector = vector - basis @ (basis.T @ vector)
        ritz, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        value = max(float(ritz[-1]), 0.0)
        beside.append(float(vector.norm()))
        if beside[-1] * abs(float(vectors[-1, -1])) <= _TOLERANCE * value:
            break
    return math.sqrt(value)


def _tridiagonal(diagonal: list[float], beside: list[float]) -> Tensor:
    sides = torch.tensor(beside, dtype=torch.float64)
    return torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(sides, 1) + torch.diag(sides, -1)


def numerical_rank(values: Tensor, shape: tuple[int, ...]) -> int:
    """How many singular values stand out from float32's rounding: above max(shape) * eps * the largest, as in numpy."""
    return int((values > values.max() * max(shape) * torch.finfo(torch.float32).eps).sum())


def reweighted(update: Matrix, factor: Callable[[Tensor], Tensor]) -> Tensor:
    """The update as a matrix [d_out, d_in] with each singular value multiplied by its `factor`, in float32.

    `factor` gets the singular values [k], descending, and gives as many factors.
    """
    if not isinstance(update, LowRank):
        return _reweighted(update.dense().float(), factor)
    outer, left = torch.linalg.qr(update.left.float())
    inner, right = torch.linalg.qr(update.right.float().T)
    product: Tensor = outer @ _reweighted(left @ right.T, factor) @ inner.T
    return product


def _values(matrix: Tensor) -> Tensor:
    squares: Tensor = torch.linalg.eigvalsh(_gram(_wide(matrix)))
    return squares.clamp(min=0).sqrt().flip(0)


def _reweighted(matrix: Tensor, factor: Callable[[Tensor], Tensor]) -> Tensor:
    wide = _wide(matrix)
    squares, vectors = torch.linalg.eigh(_gram(wide))
    values, u = squares.clamp(min=0).sqrt().flip(0), vectors.flip(1)
    result: Tensor = ((u * factor(values)) @ u.T).to(wide.dtype) @ wide
    return result if wide is matrix else result.T


def _wide(matrix: Tensor) -> Tensor:
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T


def _gram(wide: Tensor) -> Tensor:
    wide = wide.double()
    return wide @ wide.T
