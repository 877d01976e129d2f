"""Reads the reference values of tests/golden."""

import json
from functools import cache
from typing import Any

from safetensors import safe_open
from torch import Tensor

from lib.edits.updates import Dense, Update
from lib.models.architecture import architecture
from tests.helpers.models import GOLDEN


@cache
def document(name: str) -> Any:
    """One of the JSON files."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def tensors(name: str, run: str | None = None) -> dict[str, Tensor]:
    """The arrays of a safetensors file, or those of one run without the run's name before theirs."""
    with safe_open(GOLDEN / f"{name}.safetensors", framework="pt") as stored:
        same = json.loads((stored.metadata() or {}).get("same", "{}"))
        keys = {key: key for key in stored.keys()} | same  # noqa: SIM118 - not a mapping
        prefix = "" if run is None else f"{run}/"
        return {key.removeprefix(prefix): stored.get_tensor(at) for key, at in keys.items() if key.startswith(prefix)}


def product(values: dict[str, Tensor], name: str) -> Tensor:
    """A matrix that is stored as two factors."""
    return values[f"{name}/left"].double() @ values[f"{name}/right"].double()


def memit_updates(family: str, model: Any) -> dict[str, Update]:
    """The MEMIT edit that the reference evaluation was made with: residuals times adjusted keys, layer by layer."""
    values = tensors("memit", family)
    updates: dict[str, Update] = {}
    for key in values:
        if key.startswith("adj_k_layer"):
            layer = int(key.removeprefix("adj_k_layer"))
            delta = values[f"resid_layer{layer}"].double() @ values[key].double().T
            updates[architecture(model).mlp_out_of(layer)] = Dense(delta=delta.float())
    return updates
