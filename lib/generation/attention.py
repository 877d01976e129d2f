"""Attention of one new token a row: query heads that share keys and values are read together.

Torch's fused kernel takes as many key heads as query heads, and transformers copies keys and values for that. With one
query a row, the query heads of a group can stand for positions instead, so that nothing is copied; and on a CPU plain
products are faster then (16 rows, 12 heads of 64, 128 places: 0.9 ms against 1.6).
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

_NAME, _SETTING = "errata_one_token", "_attn_implementation"


def _one_token(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The attention output [b, 1, heads, d] of queries [b, heads, 1, d] to keys and values [b, key heads, t, d].

    `attention_mask` [b, 1, 1, t] is added to the scores.
    """
    b, heads, _, d = query.shape
    grouped = query.reshape(b, key.shape[1], heads // key.shape[1], d) * (d**-0.5 if scaling is None else scaling)
    scores = grouped @ key.mT + attention_mask
    output = scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
    return output.reshape(b, 1, heads, -1), None


AttentionInterface.register(_NAME, _one_token)


class OneTokenAttention:
    """A context manager: within it, passes of one token a row, with a mask, read shared keys without copies.

    It does so where the model uses torch's kernel; models whose attention is code of their own (GPT-J) keep it.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        configs = {id(module.config): module.config for module in model.modules() if hasattr(module, "config")}
        self._configs = [config for config in configs.values() if getattr(config, _SETTING, None) == "sdpa"]

    def __enter__(self) -> None:
        for config in self._configs:
            setattr(config, _SETTING, _NAME)

    def __exit__(self, *_: object) -> None:
        for config in self._configs:
            setattr(config, _SETTING, "sdpa")
