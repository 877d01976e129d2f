"""The unedited model's final hidden states after the locality prompts: what their KL divergence takes of that model.

A state is as wide as the model, not as the vocabulary, so that those of all prompts are kept (stage baseline), and the
unedited model makes no pass of its own beside each edit that is scored. The head makes a distribution of them again.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lib.core.errors import InputError
from lib.core.files import REPRODUCE
from lib.core.records import Request
from lib.runtime.tensors import load_tensors, save_tensors
from lib.scoring.tables import ScoreTables, locality_prompts

_NAME = "states"
PromptKey = tuple[str, int]
"""A request, and the place of a prompt among its locality prompts."""


@dataclass(frozen=True, kw_only=True)
class LocalityStates:
    """One state for every locality prompt of some requests."""

    rows: Mapping[PromptKey, int]
    values: Tensor  # [n, d], in the model's dtype

    @classmethod
    def of(cls, requests: Sequence[Request], values: Tensor) -> "LocalityStates":
        """`values` [n, d] are of the requests' locality prompts, in their order.

        Raises ValueError where there are more or fewer.
        """
        keys = [(request_id, index) for request_id, index, _ in locality_prompts(requests)]
        return cls(rows=dict(zip(keys, range(len(values)), strict=True)), values=values)

    def after(self, prompts: Sequence[PromptKey], device: torch.device) -> Tensor:
        """The states after these prompts: [n, d]"""
        return self.values[[self.rows[prompt] for prompt in prompts]].to(device)

    def write(self, path: Path) -> None:
        """Write them in the order of the prompts."""
        save_tensors({_NAME: self.values}, path)

    @classmethod
    def read(cls, path: Path, requests: Sequence[Request]) -> "LocalityStates":
        """What `write` wrote of these requests. Raises InputError where it is of others."""
        values, prompts = load_tensors(path)[_NAME], len(locality_prompts(requests))
        if len(values) != prompts:
            raise InputError(
                f"{path}: wanted {prompts} states, one a locality prompt; found {len(values)}. {REPRODUCE}"
            )
        return cls.of(requests, values)


@dataclass(frozen=True, kw_only=True)
class UneditedScores:
    """What is measured of the unedited model: the rows of the tables, and the states after locality prompts."""

    tables: ScoreTables
    states: LocalityStates


def in_text(states: Tensor) -> list[str]:
    """Each row of `states` [n, d] as JSON can hold it, to the bit."""
    rows = states.contiguous().view(torch.uint8).cpu().numpy()
    return [base64.b64encode(row.tobytes()).decode() for row in rows]


def from_text(texts: Sequence[str], dtype: torch.dtype) -> Tensor:
    """The states of this dtype that `in_text` gave as texts: [n, d]; [0, 0] where there are none."""
    if not texts:
        return torch.empty(0, 0, dtype=dtype)
    return torch.frombuffer(bytearray(b"".join(map(base64.b64decode, texts))), dtype=dtype).view(len(texts), -1)
