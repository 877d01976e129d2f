"""Where a decoder-only model keeps its parts: module paths by family, found from the model's config.

Editors that look inside a model ask here and nowhere else, so a new family is one more record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lib.core.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Module paths of one family; those of a block's parts start at the block."""

    embedding: str
    blocks: str
    """The list of blocks, also called layers."""
    mlp: str
    mlp_in: str
    """The MLP's (up) projection from the hidden size; in a gated MLP the one that is not gated."""
    mlp_out: str
    """The MLP's down projection back to the hidden size: the matrix that locate-then-edit methods change."""
    final_norm: str
    head: str
    mlp_gate: str | None = None
    """The other projection from the hidden size in a gated MLP; None where the MLP has no gate."""

    def block(self, layer: int) -> str:
        """Path of block `layer`, counted from 0."""
        return f"{self.blocks}.{layer}"

    def mlp_of(self, layer: int) -> str:
        """Path of the whole MLP of block `layer`."""
        return f"{self.block(layer)}.{self.mlp}"

    def mlp_in_of(self, layer: int) -> str:
        """Path of the MLP's projection from the hidden size in block `layer`."""
        return f"{self.block(layer)}.{self.mlp_in}"

    def mlp_out_of(self, layer: int) -> str:
        """Path of the MLP's down projection in block `layer`."""
        return f"{self.block(layer)}.{self.mlp_out}"

    def mlp_gate_of(self, layer: int) -> str:
        """Path of the gate's projection in block `layer`. Raises InputError where the family's MLP has no gate."""
        if self.mlp_gate is None:
            raise InputError(f"the MLP in {self.block(layer)} has no gate; wanted layers of its other projections")
        return f"{self.block(layer)}.{self.mlp_gate}"

    def layers(self, model: nn.Module) -> int:
        """Number of blocks."""
        return len(model.get_submodule(self.blocks))  # type: ignore[arg-type]


def _gpt(mlp_in: str, mlp_out: str) -> Architecture:
    return Architecture(
        embedding="transformer.wte", blocks="transformer.h", mlp="mlp", mlp_in=f"mlp.{mlp_in}",
        mlp_out=f"mlp.{mlp_out}", final_norm="transformer.ln_f", head="lm_head",
    )  # fmt: skip


_LLAMA = Architecture(
    embedding="model.embed_tokens", blocks="model.layers", mlp="mlp", mlp_in="mlp.up_proj", mlp_out="mlp.down_proj",
    final_norm="model.norm", head="lm_head", mlp_gate="mlp.gate_proj",
)  # fmt: skip
_NEOX = Architecture(
    embedding="gpt_neox.embed_in", blocks="gpt_neox.layers", mlp="mlp", mlp_in="mlp.dense_h_to_4h",
    mlp_out="mlp.dense_4h_to_h", final_norm="gpt_neox.final_layer_norm", head="lm_head",
)  # fmt: skip
FAMILIES: dict[str, Architecture] = {
    "gpt2": _gpt("c_fc", "c_proj"),
    "gptj": _gpt("fc_in", "fc_out"),
    "gpt_neox": _NEOX,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
}
"""By model_type of the config."""


def shape(config: PretrainedConfig) -> str:
    """What editors' presets know a model by: its family, number of blocks and hidden size, as in gpt2-48-1600.

    Then the MLP's inner size, where the config names it: Llama 2 7B (llama-32-4096-11008) is not Llama 3 8B.
    """
    from lib.core.editor_presets import shape_name  # reads presets, which a GPU machine for bench.gpu need not

    text = config.get_text_config()
    inner = getattr(text, "intermediate_size", None)
    return shape_name(text.model_type, text.num_hidden_layers, text.hidden_size, inner)


def architecture(model: PreTrainedModel) -> Architecture:
    """The module paths of `model`; a family not listed is taken for Llama-shaped where it has all of its modules.

    Raises InputError naming the modules that are missing.
    """
    family = model.config.model_type
    paths = FAMILIES.get(family, _LLAMA)
    present = {name for name, _ in model.named_modules()}
    needed = [paths.embedding, paths.final_norm, paths.head, paths.block(0)]
    needed += [paths.mlp_of(0), paths.mlp_in_of(0), paths.mlp_out_of(0)]
    if missing := [name for name in needed if name not in present]:
        raise InputError(
            f"{type(model).__name__} (model_type {family!r}): this editor needs the modules {', '.join(missing)}, "
            f"which it lacks. Known families: {', '.join(FAMILIES)}; a new one is a record in architecture.py"
        )
    return paths


def hidden_of(output: Any) -> Tensor:
    """The hidden states in a block's output: some versions of some families return them alone, others in a tuple."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """A block's output with its hidden states replaced, in the form that it came in."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
