"""LoRA adapters: low-rank paths beside chosen modules of a frozen model, stored the way PEFT reads them.

h = W x + (alpha / r) B A x, with A [r, d_in] drawn at random and B [d_out, r] zero at the start, for an embedding the
other way round ("LoRA", arXiv 2106.09685; the initial values are PEFT's). The weights W are never written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from peft import LoraConfig, TaskType
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lib.core.errors import InputError, reading, writing
from lib.core.files import REPRODUCE, read_json, read_object, write_json
from lib.edits.apply import Gate, low_rank_branch, shape_of
from lib.edits.updates import LowRank, Update, check_stored, tensors_of
from lib.models.architecture import architecture
from lib.runtime.tensors import load_tensors, save_tensors

if TYPE_CHECKING:
    from lib.core.params import Lora

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_ROOT = "base_model.model."
_VARIANTS = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "lora_bias")
"""Of PEFT's LoRA: what h = W x + (alpha / r) B A x does not cover."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """The trainable matrices of every adapted module, by module path."""

    a: dict[str, Tensor]  # [r, d_in]
    b: dict[str, Tensor]  # [d_out, r]
    scale: float
    """alpha / r"""
    gate: Gate = field(default_factory=Gate)
    """Whether it works while it is attached."""

    def parameters(self) -> list[Tensor]:
        """The matrices that are trained, in a fixed order."""
        return [matrix for path in self.a for matrix in (self.a[path], self.b[path]) if matrix.requires_grad]

    def updates(self) -> dict[str, Update]:
        """What the adapter adds to each module, cut off from training."""
        return {
            path: LowRank(left=self.scale * self.b[path].detach().cpu(), right=self.a[path].detach().cpu())
            for path in self.a
        }

    def factors(self) -> dict[str, LowRank]:
        """Its matrices by module path, as they are trained: what it adds is `scale` times these."""
        return {path: LowRank(left=self.b[path], right=self.a[path]) for path in self.a}

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Within it, `model` computes with the adapter, and gradients reach the adapter's matrices."""
        with ExitStack() as stack:
            for path, update in self.factors().items():
                stack.enter_context(low_rank_branch(model.get_submodule(path), update, self.scale, self.gate))
            yield


def new_adapter(
    model: nn.Module, lora: Lora, seed: int, directions: Mapping[str, Tensor] = MappingProxyType({})
) -> Adapter:
    """An adapter that changes nothing yet, float32, on the modules' own devices; `seed` draws its random half.

    Args:
        directions: A [rank, d_in] of modules, by path, which then stays as it is: of these B alone is trained. Its rank
            is theirs; the scale is lora.alpha / lora.r all the same.
    """
    generator = torch.Generator().manual_seed(seed)
    a: dict[str, Tensor] = {}
    b: dict[str, Tensor] = {}
    for path, module in target_modules(model, lora).items():
        d_out, d_in = shape_of(module)
        if isinstance(module, nn.Embedding):
            a[path], b[path] = torch.zeros(lora.r, d_in), torch.randn(d_out, lora.r, generator=generator)
        else:
            bound = 1 / math.sqrt(d_in)
            a[path] = directions.get(path, (torch.rand(lora.r, d_in, generator=generator) * 2 - 1) * bound)
            b[path] = torch.zeros(d_out, len(a[path]))
        where: Tensor = module.weight  # type: ignore[assignment]
        a[path] = a[path].to(where.device).requires_grad_(path not in directions)
        b[path] = b[path].to(where.device).requires_grad_()
    return Adapter(a=a, b=b, scale=lora.alpha / lora.r)


def target_modules(model: nn.Module, lora: Lora) -> dict[str, nn.Module]:
    """The modules that lora.targets names, in the blocks of lora.layers or lora.depth, by path, in the model's order.

    Raises InputError where a target names no linear module or embedding of the model.
    """
    adaptable = {
        path: module for path, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D | nn.Embedding)
    }
    names = {path.rpartition(".")[2] for path in adaptable}
    if missing := [name for name in lora.targets if name not in names]:
        raise InputError(
            f"lora.targets: {type(model).__name__} has no linear module or embedding named {', '.join(missing)}; "
            f"it has {', '.join(sorted(names))}"
        )
    adapted = {path: module for path, module in adaptable.items() if path.rpartition(".")[2] in lora.targets}
    if lora.is_everywhere:
        return adapted
    arch = architecture(model)
    first, last = lora.blocks(arch.layers(model))
    if not 0 <= first <= last < arch.layers(model):
        raise InputError(f"lora.layers: wanted blocks from 0 to {arch.layers(model) - 1}; found {first} to {last}")
    blocks = tuple(f"{arch.block(layer)}." for layer in range(first, last + 1))
    return {path: module for path, module in adapted.items() if path.startswith(blocks)}


def save_adapter(
    folder: Path,
    updates: Mapping[str, Update],
    model: nn.Module,
    lora: Lora,
    base_name: str,
    revision: str | None = None,
) -> None:
    """Write a LoRA edit as a PEFT adapter: adapter_config.json and adapter_model.safetensors.

    Edits on top of each other have a multiple of lora.r as their rank; the scale alpha / r stays. Raises InputError
    unless every update is low-rank, of one rank.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scale = lora.alpha / lora.r
    tensors: dict[str, Tensor] = {}
    ranks = {update.right.shape[0] if isinstance(update, LowRank) else None for update in updates.values()}
    if len(ranks) != 1 or None in ranks:
        raise InputError(f"a PEFT adapter holds low-rank updates of one rank only; found {ranks}")
    rank = ranks.pop() or 0
    for path, update in updates.items():
        assert isinstance(update, LowRank)
        embedding = isinstance(model.get_submodule(path), nn.Embedding)
        a, b = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A.weight", "lora_B.weight")
        tensors[f"{_ROOT}{path}.{a}"] = update.right.contiguous()
        tensors[f"{_ROOT}{path}.{b}"] = (update.left / scale).contiguous()
    save_tensors(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    alpha = rank * scale
    config = LoraConfig(
        r=rank,
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,
        lora_dropout=0.0,
        target_modules=sorted(lora.targets if lora.is_everywhere else updates),
        fan_in_fan_out=any(isinstance(model.get_submodule(path), Conv1D) for path in updates),
        task_type=TaskType.CAUSAL_LM,
        inference_mode=True,
        base_model_name_or_path=base_name,
        revision=revision,
    )
    with writing(folder / CONFIG):
        config.save_pretrained(folder)
    # peft holds target_modules as a set, whose order follows PYTHONHASHSEED
    values = read_json(folder / CONFIG)
    write_json(folder / CONFIG, values | {"target_modules": sorted(values["target_modules"])})


def load_adapter(folder: Path) -> dict[str, Update]:
    """The updates of a PEFT LoRA adapter, from this project or any other with plain LoRA."""
    scale = _scale(folder / CONFIG)
    tensors = load_tensors(folder / WEIGHTS)
    updates: dict[str, Update] = {}
    left_over = {*tensors}
    for name, a in tensors.items():
        for kind, other_kind in (("lora_A.weight", "lora_B.weight"), ("lora_embedding_A", "lora_embedding_B")):
            if name.endswith(f".{kind}") and (other_name := name.removesuffix(kind) + other_kind) in tensors:
                path, b = name.removeprefix(_ROOT).removesuffix(f".{kind}"), tensors[other_name]
                if not a.ndim == b.ndim == 2 or a.shape[0] != b.shape[1]:
                    shapes = f"{tuple(b.shape)} and {tuple(a.shape)}"
                    raise InputError(f"{folder / WEIGHTS}: wanted B and A of one rank for {path}; found {shapes}")
                updates[path] = LowRank(left=b.float() * scale, right=a.float())
                left_over -= {name, other_name}
    if left_over:
        raise InputError(
            f"{folder / WEIGHTS}: wanted the two matrices of plain LoRA for every module; found {min(left_over)} "
            "beside them (a bias, or a module saved whole), which would be left out"
        )
    check_stored({path: tensors_of(update) for path, update in updates.items()}, folder / WEIGHTS)
    return updates


def _scale(path: Path) -> float:
    """alpha / r of a plain LoRA. Raises InputError where the configuration is of another adapter, or is damaged."""
    values = read_object(path)
    with reading(path, "the configuration of a LoRA adapter", REPRODUCE, Exception):
        config = LoraConfig.from_pretrained(path.parent)
    variants = [name for name in _VARIANTS if getattr(config, name, None)]
    if values.get("peft_type", "LORA") != "LORA" or variants:
        kind = ", ".join(variants) or values.get("peft_type")
        raise InputError(f"{path}: only plain LoRA is read (no DoRA, rsLoRA, rank or alpha patterns); found {kind}")
    r, alpha = config.r, config.lora_alpha
    if type(r) is not int or r < 1 or type(alpha) not in (int, float) or not math.isfinite(alpha):
        raise InputError(f"{path}: wanted r from 1 on, and lora_alpha, a number; found {r!r}, {alpha!r}")
    return float(alpha / r)
