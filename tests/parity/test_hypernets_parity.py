"""MEND and KE with the hyper-networks that the reference values were computed with."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.core.texts import fill
from lib.editors import ke, mend
from lib.edits.apply import own_orientation, shape_of
from lib.edits.edit import Edit
from lib.methods.hypernets.network import edit_together
from lib.models.packing import Item
from lib.models.tokens import encode
from tests.helpers.baselines import settings
from tests.helpers.models import golden_model
from tests.helpers.updates import dense
from tests.parity.compact import MEND_RUNS
from tests.parity.reference import document, product, tensors

PATHS = {
    "gpt2": {"transformer.h.2.mlp.c_proj": 1, "transformer.h.3.mlp.c_proj": 3},
    "gptj": {
        f"transformer.h.{layer}.mlp.{name}": 2 * layer - 4 + number
        for layer in (2, 3)
        for number, name in enumerate(("fc_in", "fc_out"))
    },
}
"""Edited matrices, each with its place in the order of the model's parameters."""
WITHOUT_PAD_ROW = 1e-3
"""The originals add a [PAD] token, whose row enters the softmax; it is random, so values agree to this only."""


def items(tokenizer: Any, cases: list[int]) -> list[Item]:
    records = document("inputs/counterfact_requests")
    edits = [records[case]["requested_rewrite"] for case in cases]
    prompts = [fill(edit["prompt"], edit["subject"]) for edit in edits]
    return encode(tokenizer, prompts, [(edit["target_new"]["str"],) for edit in edits])


def mend_edit(family: str, paths: list[str], stored: Mapping[str, Tensor], rates: list[int], run: str) -> Edit:
    """What MEND makes of a run's cases, with the weights `given`; `rates` is the place of each path's rate."""
    model, tokenizer = golden_model(family)
    published = not run.startswith("eval")
    shapes = {path: shape_of(model.get_submodule(path)) for path in paths}
    network = mend.MendNetwork(shapes, settings(mend, "mend", rank=24))
    network.own_statistics = published
    network.load_state_dict(mend_weights(network, stored, rates))
    network.train(published).requires_grad_(False)
    batch = items(tokenizer, {"single0": [0], "single1": [1], "batch2": [0, 1]}[run.split("__")[1]])
    weight = 1 / sum(len(item.targets[0]) for item in batch)
    return edit_together(model, network, batch, [weight] * len(batch), 4096)


def mend_weights(network: mend.MendNetwork, stored: Mapping[str, Tensor], rates: list[int]) -> dict[str, Tensor]:
    """The original's weights under this project's names; its updates are plus a rate times the sum, ours are minus."""
    state = {"rates": -stored["edit_lrs"][rates]}
    names = {"u": "u", "v": "v", "bias": "bias", "scale": "mode_scale.weight", "shift": "mode_shift.weight"}
    for kind in network.editors:
        d_in, d_out = kind.split("x")
        prefix = f"mend.({d_in}, {d_out})."
        for layer in range(2):
            for own, original in names.items():
                state[f"editors.{kind}.layers.{layer}.{own}"] = stored[f"{prefix}mlp.layers.{layer}.{original}"]
        seen = stored[f"{prefix}k"][0]
        for own, original in {"inputs": "u", "gradients": "v"}.items():
            moments = f"editors.{kind}.{own}"
            state[f"{moments}.count"] = seen.long()
            state[f"{moments}.mean"] = stored[f"{prefix}{original}_mean"]
            state[f"{moments}.squares"] = stored[f"{prefix}{original}_std"] ** 2 * (seen - 1)
    return state


def gate_weights(stored: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    prefix = f"editor.conditioners.{path.replace('.', '_')}_weight_conditioner.conditioners"
    state = {}
    for own, original in {"first": 0, "second": 2}.items():
        state[f"{own}.bias"] = stored[f"{prefix}.{original}.bias"]
        state[f"{own}.parametrizations.weight.original0"] = stored[f"{prefix}.{original}.weight_g"]
        state[f"{own}.parametrizations.weight.original1"] = stored[f"{prefix}.{original}.weight_v"]
    return state


def apart(tensor: Tensor, reference: Tensor) -> float:
    return float((tensor - reference).norm() / reference.norm())


@pytest.mark.parametrize("run", MEND_RUNS)
@pytest.mark.parametrize("family", ["gpt2", "gptj"])
def test_mend_makes_the_reference_updates(family: str, run: str) -> None:
    values = tensors("hypernets", f"mend_{family}")
    paths = PATHS[family]
    # as published, the rates are counted in the order of the model's parameters, not of the matrices they were made for
    edit = mend_edit(family, list(paths), values, list(paths.values()), run)
    model, _ = golden_model(family)
    assert edit.updates.keys() == paths.keys()
    for path, update in edit.updates.items():
        delta = own_orientation(model.get_submodule(path), dense(update))
        assert apart(delta, product(values, f"{run}/{path}")) < WITHOUT_PAD_ROW


@pytest.mark.parametrize("case", [0, 1])
def test_ke_makes_every_reference_update(case: int) -> None:
    model, tokenizer = golden_model("gpt2")
    values = tensors("hypernets", "ke")
    how = settings(ke, "ke", layers=1, hidden=24, condition=32, max_scale=1.0)
    network = ke.new_network(model, how)
    prefix = "editor.condition."
    embedding = torch.cat([model.get_input_embeddings().weight, values["pad_row"][None]])
    network.condition.embedding = torch.nn.Embedding.from_pretrained(embedding)  # type: ignore[no-untyped-call]
    state = {f"condition.embedding.{name}": value for name, value in network.condition.embedding.state_dict().items()}
    for name in network.condition.lstm.state_dict():
        state[f"condition.lstm.{name}"] = values[f"{prefix}lstm._module.{name}"]
    for name in ("weight", "bias"):
        state[f"condition.linear.{name}"] = values[f"{prefix}linear._linear_layers.0.{name}"]
    for index, path in enumerate(network.paths):
        state |= {f"gates.{index}.{name}": value for name, value in gate_weights(values, path).items()}
    network.load_state_dict(state)
    batch = items(tokenizer, [case])
    with torch.no_grad():
        assert apart(network.condition(batch), values[f"condition_case{case}"]) < 1e-5
    edit = edit_together(model, network, batch, [1 / len(batch[0].targets[0])], 4096)
    assert list(edit.updates) == list(network.paths)
    for path, update in edit.updates.items():
        delta = own_orientation(model.get_submodule(path), dense(update))
        assert apart(delta, product(values, f"delta_case{case}/{path}")) < 1e-5
