"""How much of a model's linear weights an adapter reaches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Counts of weights; those of embeddings, of the output embedding, of norms and of convolutions are not in it."""

    linear: int
    """Weights of all linear maps, routed experts included."""
    left_out: int
    """Those of them that are no part of an adapted module."""
    experts: tuple[str, ...]
    """Last names of the routed experts' weights that are left out."""

    @property
    def share_left_out(self) -> float:
        """0 to 1."""
        return self.left_out / self.linear if self.linear else 0.0

    def __str__(self) -> str:
        """As in: 45 % of the model's linear weights have no adapter, the routed experts (down_proj) among them."""
        experts = f", the routed experts ({', '.join(self.experts)}) among them" if self.experts else ""
        return f"{100 * self.share_left_out:.0f} % of the model's linear weights have no adapter{experts}"


def coverage(model: nn.Module, adapted: Collection[str]) -> Coverage:
    """What adapters on the modules `adapted`, by path, leave out of `model`.

    Routed experts are linear modules in a list of experts, or, as transformers 5 stores them, one parameter
    [experts, d_out, d_in] of a module that is none, which LoRA on modules cannot reach.
    """
    linear = left_out = 0
    experts: dict[str, None] = {}
    for path, weight in _linear_weights(model).items():
        linear += weight.numel()
        module = path.removesuffix(".weight")
        if module not in adapted:
            left_out += weight.numel()
            if ".experts." in f".{module}.":
                experts[module.rpartition(".")[2]] = None
    return Coverage(linear=linear, left_out=left_out, experts=tuple(experts))


def _linear_weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights of linear modules, and parameters with three axes that are many matrices, by path."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    weights: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        if module is head or isinstance(module, nn.Embedding | nn.modules.conv._ConvNd):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            is_matrix = isinstance(module, nn.Linear | Conv1D) and name == "weight"
            are_matrices = parameter.dim() == 3 and min(parameter.shape) > 1
            if is_matrix or are_matrices:
                weights[f"{path}.{name}"] = parameter
    return weights
