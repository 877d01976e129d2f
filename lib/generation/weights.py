"""Weights laid out for products with a few rows: what a CPU needs for decoding.

A decode step multiplies some 32 rows by every weight. Torch's own product copies a weight into the layout of its
kernel each time, which for so few rows takes longer than the product; oneDNN takes a weight that has been laid out
before (torch.ops.mkldnn, as torch's compiler calls it). Measured on one core for weights of 576 x 1,536: 1.8 x at 16
rows, 1.3 x at 64. The sums are those of other kernels, equal to rounding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

LARGEST_BYTES = 2 * 2**30
"""Weights that are laid out for a time take their memory twice; those of larger models stay as they are."""
_ROWS = 16
"""The number of rows that the layout is chosen for."""


@contextmanager
def laid_out(model: nn.Module) -> Iterator[None]:
    """Within it, the linear modules of a float32 model on a CPU multiply by copies of their weights, laid out for it.

    Other models, and those above LARGEST_BYTES, are left alone. Weights must not change within it; hooks, such as those
    of low-rank updates, work as ever.
    """
    modules = [module for module in model.modules() if _can_be_laid_out(module)]
    weights = {id(module.weight): module.weight for module in modules}
    if sum(weight.nbytes for weight in weights.values()) > LARGEST_BYTES:  # type: ignore[misc]
        modules = []
    try:
        for module in modules:
            module.forward = _product(module)
        yield
    finally:
        for module in modules:
            module.__dict__.pop("forward", None)


def _can_be_laid_out(module: nn.Module) -> bool:
    """Whether this is a plain linear module with whole float32 weights in main memory, its forward pass its own."""
    if type(module) not in (nn.Linear, Conv1D) or "forward" in module.__dict__:
        return False
    weight = module.weight
    return (
        isinstance(weight, nn.Parameter)
        and type(weight.data) is Tensor
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def _product(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The module's forward pass with its weight laid out."""
    weight: Tensor = module.weight.detach()  # type: ignore[operator]
    bias: Tensor | None = module.bias  # type: ignore[assignment]
    by_output = weight.T.contiguous() if isinstance(module, Conv1D) else weight  # [d_out, d_in]
    blocks = torch.ops.mkldnn._reorder_linear_weight(by_output, _ROWS)

    def forward(x: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, blocks, bias, "none", [], "")
        return product

    return forward
