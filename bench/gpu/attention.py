"""What packing's mask costs beside attention that skips what it hides, and what compiling brings."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from bench.gpu.shapes import Machine, pairs, random_model
from bench.gpu.timing import repeated
from lib.models.likelihood import score_targets
from lib.models.packing import Packed, pack

_PAIR_TOKENS = 16
"""Tokens of a pair, as in training on CounterFact."""


def attention(machine: Machine) -> dict[str, Any]:
    """Seconds forward and backward of 16 heads of 256 (GPT-J's), pairs of 16 tokens in rows of 64, 512, 2048."""
    result: dict[str, Any] = {}
    tokens, heads, width = (128, 2, 16) if machine.tiny else (16_384, 16, 256)
    for row in (64, 128) if machine.tiny else (64, 512, 2048):
        shape = (tokens // row, heads, row, width)
        torch.manual_seed(0)
        q, k, v = (torch.randn(shape, device=machine.device, dtype=machine.dtype, requires_grad=True) for _ in range(3))
        owner = torch.arange(row, device=machine.device) // _PAIR_TOKENS
        ways = {"masked": _masked(owner), "flex": _flex(owner, machine), "varlen": _varlen}
        for name, way in ways.items():
            result[f"{name}_{row}"] = _measured(way, q, k, v, machine)
    return result


Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def _measured(way: Attention, q: Tensor, k: Tensor, v: Tensor, machine: Machine) -> dict[str, Any]:
    """Timing of one way; the error's text where it does not work here."""

    def work() -> None:
        torch.autograd.grad(way(q, k, v).sum(), (q, k, v))

    try:
        return repeated(work, machine)
    except Exception as error:  # another torch, another GPU: the other ways are measured all the same
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def _masked(owner: Tensor) -> Attention:
    """Packing's way: scaled dot-product attention with an additive mask."""
    visible = (owner[:, None] == owner[None]).tril()

    def way(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = torch.zeros(visible.shape, dtype=q.dtype, device=q.device).masked_fill_(
            ~visible, torch.finfo(q.dtype).min
        )
        return scaled_dot_product_attention(q, k, v, attn_mask=mask.expand(len(q), 1, -1, -1))

    return way


def _flex(owner: Tensor, machine: Machine) -> Attention:
    """flex_attention with a block mask, compiled on a GPU."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def visible(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (owner[query] == owner[key])

    row = len(owner)
    block_mask = create_block_mask(visible, None, None, row, row, device=str(machine.device))
    attend: Any = torch.compile(flex_attention) if machine.device.type == "cuda" else flex_attention
    return lambda q, k, v: attend(q, k, v, block_mask=block_mask)


def _varlen(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention over sequences of their own lengths, without rows."""
    from torch.nn.attention.varlen import varlen_attn

    flat_q, flat_k, flat_v = (
        values.transpose(1, 2).reshape(-1, values.shape[1], values.shape[3]) for values in (q, k, v)
    )
    ends = torch.arange(0, len(flat_q) + 1, _PAIR_TOKENS, device=q.device, dtype=torch.int32)
    causal = (-1, 0)
    output: Any = varlen_attn(flat_q, flat_k, flat_v, ends, ends, _PAIR_TOKENS, _PAIR_TOKENS, window_size=causal)
    attended: Tensor = output[0] if isinstance(output, tuple) else output
    return attended


def compiling(machine: Machine) -> dict[str, Any]:
    """Seconds of scoring a packed batch of GPT-2 XL's shape: as it is, compiled, and compiled with CUDA graphs."""
    model = random_model("gpt2-xl", machine)
    packed = pack(pairs(8 if machine.tiny else 512)).to(machine.device)
    result: dict[str, Any] = {"as_it_is": repeated(lambda: score_targets(model, packed), machine)}
    forward = model.base_model.forward
    for name, options in _ways_to_compile(machine).items():
        torch.compiler.reset()
        try:
            model.base_model.forward = torch.compile(forward, **options)
            result[name] = repeated(lambda: score_targets(model, packed), machine)
            result[name]["largest_difference"] = _difference(model, packed, forward)
        except Exception as error:  # as in _measured
            result[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
        finally:
            model.base_model.forward = forward
    return result


def _ways_to_compile(machine: Machine) -> dict[str, dict[str, Any]]:
    if machine.device.type != "cuda":  # no compiler is asked for: the graph is captured and run as it is
        return {"captured": {"backend": "eager"}}
    return {"compiled": {}, "cuda_graphs": {"mode": "reduce-overhead"}}


def _difference(model: Any, packed: Packed, forward: Any) -> float:
    """Of -log p, from those of the model as it is."""
    compiled = score_targets(model, packed).nll.clone()
    model.base_model.forward = forward
    return float((compiled - score_targets(model, packed).nll).abs().max())
