"""The number format in which a frozen model computes while something beside it is trained."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

_X86 = ("x86_64", "amd64")
Precision = Literal["auto", "float32", "bfloat16"]


def training_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The dtype that `precision` stands for; None leaves the model in the one that it has.

    auto: bfloat16 on a CPU that multiplies it in hardware (about 1.7 times as fast there), else the model's own.
    """
    if precision == "auto":
        return torch.bfloat16 if device.type == "cpu" and multiplies_bfloat16(platform.machine()) else None
    return torch.float32 if precision == "float32" else torch.bfloat16


def multiplies_bfloat16(machine: str) -> bool:
    """Whether this CPU, of the kind that `platform.machine` names, has instructions for products of bfloat16.

    torch's own mkldnn check is true of every x86 CPU with AVX-512: those without AVX512_BF16 and AMX compute such
    products in software, four to five times slower than in float32 (measured on a Xeon of 2021).
    """
    if machine.lower() in _X86:
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def computing_in(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Within it, the model's parameters are of `dtype`; afterwards they are what they were, to the bit."""
    parameters = list(model.parameters()) if dtype is not None else []
    before = [parameter.data for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.data = parameter.data.to(dtype)
        yield
    finally:
        for parameter, values in zip(parameters, before, strict=True):
            parameter.data = values
