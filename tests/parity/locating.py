"""What the parity tests of ROME, R-ROME, MEMIT, EMMET and AlphaEdit share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch import Tensor

from lib.editors import editor
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.models.architecture import architecture
from tests.helpers import baselines
from tests.helpers.updates import dense
from tests.parity.editing import requests

REQUESTS = list(requests().values())


def relative(tensor: Tensor, reference: Tensor) -> float:
    """The relative distance in the Euclidean norm."""
    return float((tensor.double() - reference.double()).norm() / reference.double().norm())


def optimisation(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings of the search for v* or z*."""
    return {
        "steps": hparams["v_num_grad_steps"], "lr": hparams["v_lr"], "weight_decay": hparams["v_weight_decay"],
        "kl": hparams["kl_factor"], "clamp": float(hparams["clamp_norm_factor"]), "stop": 0.05, "tokens": 100_000,
    }  # fmt: skip


def context(statistics: Path | None, state: Mapping[str, Tensor] | None = None) -> Context:
    """An editor's context with the folder of second moments, and what earlier edits left."""
    return replace(baselines.context(), statistics=statistics, state=state or {})


def layered(name: str, hparams: Mapping[str, Any], **settings: Any) -> tuple[Any, Any]:
    """An editor of several layers and its settings, as a run's."""
    module = editor(name)
    values = {
        "layers": hparams["layers"], "token": hparams["fact_token"], "context_tokens": 10, "seed": 0,
        "context_length": "corrected", "anchor": None, "optimisation": optimisation(hparams),
    }  # fmt: skip
    values |= {"moments": True} if name == "memit" else {}
    return module, module.Settings.model_validate(values | settings)


def delta(model: Any, edit: Edit, layer: int) -> Tensor:
    """What an edit adds to a layer's down projection: [d_out, d_in]"""
    return dense(edit.updates[architecture(model).mlp_out_of(layer)])


@contextmanager
def results_of(module: ModuleType, name: str) -> Iterator[list[Any]]:
    """Within it, what a module's function returned in every call so far."""
    results: list[Any] = []
    original = getattr(module, name)

    def recorded(*arguments: Any, **named: Any) -> Any:
        results.append(original(*arguments, **named))
        return results[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, recorded)
        yield results
