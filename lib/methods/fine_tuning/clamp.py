"""FT-L's bound on how far an entry may move, beside the numbers that the model's dtype has."""

from collections.abc import Iterable

import torch
from torch import nn

from lib.core.errors import InputError


def check_clamp(model: nn.Module, paths: Iterable[str], clamp: float | None) -> None:
    """Raise InputError where the model's dtype cannot hold a move as small as `clamp`, which rounding would undo.

    Args:
        model: the model, in the dtype that it computes in.
        paths: of the parameters that are trained; vectors are not looked at.
        clamp: the bound; None where there is none.

    The spacing of the dtype is taken at a matrix's median absolute entry.
    """
    if clamp is None:
        return
    for path in paths:
        weight = model.get_parameter(path).detach()
        spacing = torch.finfo(weight.dtype).eps * weight.float().abs().median().item()
        if weight.dim() > 1 and clamp < spacing:
            name = str(weight.dtype).removeprefix("torch.")
            raise InputError(
                f"clamp: wanted a bound above the spacing of {name} at the weights of {path} ({spacing:.2g}); found "
                f"{clamp:.2g}, which rounding undoes or exceeds. Edit in float32, or raise clamp in the editor's preset"
            )
