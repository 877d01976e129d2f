"""MEND and KE with the hyper-networks that the reference values were computed with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib.core.texts import fill
from lib.editors import ke, mend
from lib.edits.apply import own_orientation, shape_of
from lib.edits.edit import Edit
from lib.methods.hypernets.network import edit_together, signals_of
from lib.models.packing import Item
from lib.models.tokens import encode
from tests.helpers.baselines import settings
from tests.helpers.models import golden_model

GOLDEN = Path(__file__).parent.parent / "golden"
WITHOUT_PAD_ROW = 1e-3
"""The originals add a [PAD] token, whose row enters the softmax; it is random, so values agree to this only."""


def items(tokenizer: Any, cases: list[int]) -> list[Item]:
    records = json.loads((GOLDEN / "inputs/counterfact_requests.json").read_text())
    edits = [records[case]["requested_rewrite"] for case in cases]
    prompts = [fill(one["prompt"], one["subject"]) for one in edits]
    return encode(tokenizer, prompts, [(one["target_new"]["str"],) for one in edits])


def mend_edit(family: str, paths: list[str], given: Mapping[str, Tensor], rates: list[int], run: str) -> Edit:
    """What MEND makes of a run's cases, with the weights `given`; `rates` is the place of each path's rate."""
    model, tokenizer = golden_model(family)
    published = not run.startswith("eval")
    shapes = {path: shape_of(model.get_submodule(path)) for path in paths}
    network = mend.Network(shapes, settings(mend, "mend", rank=24))
    network.own_statistics = published
    network.load_state_dict(mend_weights(network, given, rates))
    network.train(published).requires_grad_(False)
    chosen = items(tokenizer, {"single0": [0], "single1": [1], "batch2": [0, 1]}[run.split("__")[1]])
    weight = 1 / sum(len(one.targets[0]) for one in chosen)
    return edit_together(model, network, chosen, [weight] * len(chosen), 4096)


def mend_weights(network: mend.Network, given: Mapping[str, Tensor], rates: list[int]) -> dict[str, Tensor]:
    """The original's weights under this project's names; its updates are plus a rate times the sum, ours are minus."""
    state = {"rates": -given["edit_lrs"][rates]}
    names = {"u": "u", "v": "v", "bias": "bias", "scale": "mode_scale.weight", "shift": "mode_shift.weight"}
    for kind in network.editors:
        d_in, d_out = kind.split("x")
        theirs = f"mend.({d_in}, {d_out})."
        for layer in range(2):
            for own, other in names.items():
                state[f"editors.{kind}.layers.{layer}.{own}"] = given[f"{theirs}mlp.layers.{layer}.{other}"]
        seen = given[f"{theirs}k"][0]
        for own, other in {"inputs": "u", "gradients": "v"}.items():
            moments = f"editors.{kind}.{own}"
            state[f"{moments}.count"] = seen.long()
            state[f"{moments}.mean"] = given[f"{theirs}{other}_mean"]
            state[f"{moments}.squares"] = given[f"{theirs}{other}_std"] ** 2 * (seen - 1)
    return state


def gate_weights(given: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    theirs = f"editor.conditioners.{path.replace('.', '_')}_weight_conditioner.conditioners"
    state = {}
    for own, other in {"first": 0, "second": 2}.items():
        state[f"{own}.bias"] = given[f"{theirs}.{other}.bias"]
        state[f"{own}.parametrizations.weight.original0"] = given[f"{theirs}.{other}.weight_g"]
        state[f"{own}.parametrizations.weight.original1"] = given[f"{theirs}.{other}.weight_v"]
    return state


def apart(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.fixture(scope="module")
def part() -> dict[str, Tensor]:
    return load_file(GOLDEN / "hypernets.safetensors")


def below(part: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): one for name, one in part.items() if name.startswith(prefix)}


@pytest.mark.parametrize("run", ["eval__single0", "eval__batch2", "as_published_training_mode__single0"])
def test_mend_makes_the_reference_updates_of_the_down_projections(run: str, part: dict[str, Tensor]) -> None:
    paths = ["transformer.h.2.mlp.fc_out", "transformer.h.3.mlp.fc_out"]
    made = mend_edit("gptj", paths, below(part, "mend/"), [1, 3], run)
    kept = {path for path in paths if f"mend/{run}/{path}/left" in part}
    assert paths[1] in kept
    for path in kept:
        wanted = part[f"mend/{run}/{path}/left"] @ part[f"mend/{run}/{path}/right"]
        assert apart(made.updates[path].dense(), wanted) < WITHOUT_PAD_ROW


@pytest.mark.parametrize("case", [0, 1])
def test_ke_gates_the_gradient_as_the_reference_does(case: int, part: dict[str, Tensor]) -> None:
    path = "transformer.h.3.mlp.c_proj"
    model, tokenizer = golden_model("gpt2")
    how = settings(ke, "ke", hidden=24, condition=32, max_scale=1.0)
    gate = ke._Gate(96, 384, rows_are_outputs=False, settings=how)
    gate.load_state_dict(gate_weights(below(part, "ke/"), path))
    some = items(tokenizer, [case])
    signals = signals_of(model, some, [path], [1 / len(some[0].targets[0])])
    update = gate(part[f"ke/condition{case}"], signals.inputs[path], signals.gradients[path])
    wanted = part[f"ke/case{case}/{path}/left"] @ part[f"ke/case{case}/{path}/right"]
    assert apart(update.left[0] @ update.right[0], wanted) < 1e-5


@pytest.mark.parametrize(
    "run", ["eval__single0", "eval__single1", "eval__batch2", "as_published_training_mode__single0"]
)
@pytest.mark.parametrize("family", ["gpt2", "gptj"])
def test_mend_makes_every_reference_update(family: str, run: str, golden: Path) -> None:
    outputs = golden / "outputs"
    about = json.loads((outputs / f"07_mend_{family}.json").read_text())
    # as published, the rates are counted in the order of the model's parameters, not of the matrices they were made for
    order = [name.removesuffix(".weight") for name in about["named_parameters_order"]]
    made = mend_edit(family, order, load_file(outputs / f"07_mend_hypernet_{family}.safetensors"), [0, 1, 2, 3], run)
    wanted = np.load(outputs / f"07_mend_{family}.npz")
    model, _ = golden_model(family)
    assert list(made.updates) == order
    for path, update in made.updates.items():
        delta = own_orientation(model.get_submodule(path), update.dense())
        assert apart(delta, torch.from_numpy(wanted[f"{run}__{path}.weight"])) < WITHOUT_PAD_ROW


@pytest.mark.parametrize("case", [0, 1])
def test_ke_makes_every_reference_update(case: int, golden: Path) -> None:
    model, tokenizer = golden_model("gpt2")
    given = load_file(golden / "outputs/07_ke_hypernet_gpt2.safetensors")
    how = settings(ke, "ke", layers=1, hidden=24, condition=32, max_scale=1.0)
    network = ke.new_network(model, how)
    theirs = "editor.condition."
    network.condition.embedding = torch.nn.Embedding.from_pretrained(given[f"{theirs}embedding.weight"])  # with [PAD]
    state = {f"condition.embedding.{name}": one for name, one in network.condition.embedding.state_dict().items()}
    for name in network.condition.lstm.state_dict():
        state[f"condition.lstm.{name}"] = given[f"{theirs}lstm._module.{name}"]
    for name in ("weight", "bias"):
        state[f"condition.linear.{name}"] = given[f"{theirs}linear._linear_layers.0.{name}"]
    for place, path in enumerate(network.paths):
        state |= {f"gates.{place}.{name}": one for name, one in gate_weights(given, path).items()}
    network.load_state_dict(state)
    wanted = np.load(golden / "outputs/07_ke_gpt2.npz")
    some = items(tokenizer, [case])
    with torch.no_grad():
        assert apart(network.condition(some), torch.from_numpy(wanted[f"condition_case{case}"])) < 1e-5
    made = edit_together(model, network, some, [1 / len(some[0].targets[0])], 4096)
    for path, update in made.updates.items():
        delta = own_orientation(model.get_submodule(path), update.dense())
        assert apart(delta, torch.from_numpy(wanted[f"delta_case{case}__{path}.weight"])) < 1e-5
