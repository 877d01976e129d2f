"""Teacher-forced likelihood of targets given prompts: the objective of training and the measure of scoring.

-log p(target | prompt), summed over target tokens only ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078,
section 3: train on the target given the prompt). Prompt tokens carry no loss, by position.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lib.models.packing import Packed
from lib.models.reading import recorded

HEAD_CHUNK = 2_048
"""Rows of hidden states that meet the output embedding at a time: bounds memory at chunk x vocabulary."""


@dataclass(frozen=True, kw_only=True)
class TargetScores:
    """One value a target, in the order of the packed items."""

    nll: Tensor  # [targets] float32: sum over tokens, nats
    tokens: Tensor  # [targets] int64
    correct: Tensor  # [targets] int64: tokens that are the argmax
    argmax: Tensor  # [n] int64: the most likely token at the place of every target token, target after target
    states: Tensor  # [targets, d]: the final hidden state that predicts the first token of each target


def hidden_states(model: nn.Module, packed: Packed) -> Tensor:
    """The final hidden states where target tokens are predicted: [n, d]. No logits are computed.

    Raises ValueError where the model is known to need isolated rows (lib/models/check.py) and `packed` has others.
    """
    decoder: nn.Module = model.base_model  # type: ignore[assignment]
    reading = recorded(model)
    if reading is not None and reading.rows == "isolated" and not packed.isolated:
        raise ValueError(f"{type(model).__name__} needs isolated rows; pack with lib.models.check.packed_for")
    inputs: dict[str, Any] = {"input_ids": packed.input_ids, "use_cache": False}
    if not packed.isolated:
        dtype = next(decoder.parameters()).dtype
        inputs["position_ids"] = packed.position_ids
        inputs["attention_mask"] = packed.attention_mask(dtype, decoder.config)
    hidden: Tensor = decoder(**inputs).last_hidden_state
    return hidden.flatten(0, 1)[packed.query]


def token_nll(model: nn.Module, packed: Packed) -> Tensor:
    """-log p of every target token: [n] float32, differentiable; logits exist for one chunk at a time."""
    head: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    hidden = hidden_states(model, packed)
    losses = [
        nn.functional.cross_entropy(head(rows).float(), labels, reduction="none")
        for rows, labels in zip(torch.split(hidden, HEAD_CHUNK), torch.split(packed.label, HEAD_CHUNK), strict=True)
    ]
    return torch.cat(losses)


@torch.inference_mode()
def score_targets(model: nn.Module, packed: Packed) -> TargetScores:
    """Sum of -log p, number of tokens and number of argmax tokens for every target."""
    head: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    hidden = hidden_states(model, packed)
    nll = torch.empty(len(packed.label), dtype=torch.float32, device=hidden.device)
    argmax = torch.empty_like(packed.label)
    # Targets of one prompt share the state that predicts their first token: its logits are computed once.
    unique, row_of = torch.unique(packed.query, return_inverse=True)
    first = torch.empty_like(unique).scatter_(0, row_of, torch.arange(len(row_of), device=row_of.device))
    for start in range(0, len(unique), HEAD_CHUNK):
        inside = ((row_of >= start) & (row_of < start + HEAD_CHUNK)).nonzero()[:, 0]
        logits = head(hidden[first[start : start + HEAD_CHUNK]]).float()  # [chunk, v]
        rows = row_of[inside] - start
        nll[inside] = logits.logsumexp(-1)[rows] - logits[rows, packed.label[inside]]
        argmax[inside] = logits.argmax(-1)[rows]
    starts = torch.searchsorted(packed.owner, torch.arange(packed.targets, device=packed.owner.device))
    return _by_target(packed, nll, argmax, hidden[starts])


def _by_target(packed: Packed, nll: Tensor, argmax: Tensor, states: Tensor) -> TargetScores:
    def total(values: Tensor) -> Tensor:
        return torch.zeros(packed.targets, dtype=values.dtype, device=values.device).index_add_(0, packed.owner, values)

    return TargetScores(
        nll=total(nll),
        tokens=total(torch.ones_like(packed.owner)),
        correct=total((argmax == packed.label).long()),
        argmax=argmax,
        states=states,
    )
