"""How far an edit moves the weights, against numpy and the values of the released PRUNE."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.edits.apply import linear_weight, own_orientation
from lib.edits.edit import Edit
from lib.edits.singular import largest_singular_value
from lib.edits.updates import Dense, LowRank, Vector
from lib.edits.weight_change import Measure, WeightChange, heat_map, relative_change
from lib.models.architecture import architecture
from tests.helpers.models import golden_model, tiny_model
from tests.lib.edits.test_apply import KINDS, snapshot, unchanged, update
from tests.parity.reference import document, product, tensors

THRESHOLDS = (0.077, 0.171)
PATHS = {"gpt2": "transformer.h.0.mlp.c_proj", "llama": "model.layers.1.mlp.down_proj", "gptj": "transformer.wte"}


def weight_change(model: Any, edit: Edit, thresholds: tuple[float, ...], rank_side: int = 1000) -> WeightChange:
    return Measure(model=model, thresholds=thresholds, rank_side=rank_side).of(edit)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", PATHS)
def test_every_figure_equals_numpys(family: str, kind: str) -> None:
    model, path = tiny_model(family), PATHS[family]
    weight = linear_weight(model.get_submodule(path))
    d_out, d_in = weight.shape
    new_update = update(kind, d_out, d_in, scale=0.05)
    before = snapshot(model)
    change = weight_change(model, Edit(updates={path: new_update}), THRESHOLDS).weights[path]
    assert unchanged(model, before)
    delta, base = new_update.dense().double().numpy(), weight.double().numpy()
    ratio = np.divide(np.abs(delta), np.abs(base), out=np.full_like(delta, np.inf), where=base != 0)
    assert change.entries == delta.size
    assert change.manhattan == pytest.approx(np.abs(delta).sum(), rel=1e-5)
    assert change.frobenius == pytest.approx(np.linalg.norm(delta), rel=1e-5)
    assert change.largest == pytest.approx(np.linalg.norm(delta, 2), rel=1e-5)
    assert change.base_largest == pytest.approx(np.linalg.norm(base, 2), rel=1e-5)
    assert (
        change.rank
        == np.linalg.matrix_rank(new_update.dense().numpy())
        == (3 if kind == "low rank" else min(delta.shape))
    )
    for threshold in THRESHOLDS:
        share = 100 * ((ratio > threshold) & (delta != 0)).mean()
        assert change.share_above[str(threshold)] == pytest.approx(share, abs=0.05)


def test_the_total_is_of_all_weights_and_vectors_count_as_one_column() -> None:
    model = tiny_model("gpt2")
    matrix, bias = "transformer.h.0.mlp.c_proj", "transformer.h.0.mlp.c_proj.bias"
    with torch.no_grad():
        model.get_parameter(bias).fill_(2.0)
    shift = torch.full((32,), 0.2)
    edit = Edit(updates={matrix: Dense(delta=torch.zeros(32, 128)), bias: Vector(shift=shift)})
    changes = weight_change(model, edit, THRESHOLDS)
    of_bias = changes.weights[bias]
    assert of_bias.manhattan == changes.total.manhattan == pytest.approx(6.4)
    assert of_bias.largest == pytest.approx(shift.norm().item())
    assert of_bias.frobenius == changes.total.frobenius == pytest.approx(of_bias.largest)
    assert (of_bias.rank, changes.weights[matrix].rank, changes.total.rank) == (1, 0, 1)
    assert of_bias.share_above == {"0.077": 100.0, "0.171": 0.0}
    assert changes.total.share_above["0.077"] == pytest.approx(100 * 32 / (32 + 32 * 128))
    assert changes.total.base_largest == max(change.base_largest for change in changes.weights.values())
    assert changes.total.entries == 32 + 32 * 128


def test_weights_come_in_the_models_order_whatever_that_of_the_updates() -> None:
    """The fault: a sequential run that went on from a stored session, whose updates are by name, had other rows."""
    paths = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"]
    updates = {path: Dense(delta=torch.ones(32, 32 if "attn" in path else 48)) for path in sorted(paths)}
    assert list(updates) != paths
    assert list(weight_change(tiny_model("llama"), Edit(updates=updates), THRESHOLDS).weights) == paths


def test_an_edit_that_changes_no_weight_changes_nothing() -> None:
    changes = weight_change(tiny_model("llama"), Edit(updates={}, contexts={"a": "b"}), THRESHOLDS)
    assert changes.weights == {}
    assert (changes.total.manhattan, changes.total.rank, changes.total.share_above) == (0, 0, {"0.077": 0, "0.171": 0})


def test_a_zero_that_changes_is_above_every_threshold_and_one_that_stays_below() -> None:
    relative = relative_change(torch.tensor([1e-9, 0.0, -0.5, 0.0]), torch.tensor([0.0, 0.0, 2.0, 1.0]))
    assert relative.tolist() == [float("inf"), 0.0, 0.25, 0.0]


def test_the_rank_of_a_long_matrix_is_left_open_and_that_of_a_low_rank_one_is_not() -> None:
    model, path, second_path = tiny_model("llama"), PATHS["llama"], "model.layers.0.mlp.down_proj"
    dense, low = update("dense", 32, 48), update("low rank", 32, 48)
    short = weight_change(model, Edit(updates={path: dense}), THRESHOLDS).weights[path]
    changes = weight_change(model, Edit(updates={path: dense, second_path: low}), THRESHOLDS, rank_side=31)
    assert (short.rank, changes.weights[path].rank, changes.weights[second_path].rank, changes.total.rank) == (
        32,
        None,
        3,
        None,
    )
    assert changes.weights[path].largest == pytest.approx(short.largest, rel=1e-5)


@pytest.mark.parametrize("shape", [(600, 700), (900, 520)])
def test_the_largest_singular_value_of_a_wide_matrix_is_numpys(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(shape, generator=generator)
    falling = noise * torch.arange(1, shape[1] + 1) ** -0.5
    low = noise[:, :3] @ noise[:3]
    for matrix in (noise, falling, low, noise.bfloat16(), torch.zeros(shape), torch.ones(shape)):
        expected = np.linalg.norm(matrix.double().numpy(), 2)
        assert largest_singular_value(matrix) == pytest.approx(expected, rel=1e-5)


@given(d_out=st.integers(1, 30), d_in=st.integers(1, 30), rank=st.integers(1, 5), more=st.integers(0, 3))
def test_the_numerical_rank_is_the_true_one_in_either_form(d_out: int, d_in: int, rank: int, more: int) -> None:
    low = LowRank(left=torch.eye(d_out, rank + more), right=torch.eye(rank + more, d_in))
    low.right[rank:] = 0
    true = min(rank, d_out, d_in)
    model = torch.nn.Sequential(torch.nn.Linear(d_in, d_out))
    for same_update in (low, Dense(delta=low.dense())):
        change = weight_change(model, Edit(updates={"0": same_update}), ()).weights["0"]
        assert change.rank == true
        assert change.largest == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "gptj", "llama"])
def test_singular_values_equal_those_of_the_released_prune(name: str) -> None:
    reference, model = document("singular_values")[name], golden_model(name)[0]
    layer = reference["layer"]
    path = architecture(model).mlp_out_of(layer)
    total = product(tensors("updates", f"prune_{name}"), f"accumulated_layer{layer}").float()
    update = Dense(delta=own_orientation(model.get_submodule(path), total))
    change = weight_change(model, Edit(updates={path: update}), THRESHOLDS).weights[path]
    assert change.base_largest == pytest.approx(reference["weight"], rel=1e-5)
    assert change.largest == pytest.approx(reference["top"][0], rel=1e-5)
    assert change.rank == reference["rank"]


def test_a_heat_map_shows_means_of_blocks_and_small_matrices_as_they_are() -> None:
    delta = torch.zeros(8, 12)
    delta[:4, :6] = -2.0
    assert heat_map(Dense(delta=delta), 2).tolist() == [[2, 0], [0, 0]]
    assert torch.equal(heat_map(Dense(delta=delta), 100), delta.abs())
    assert heat_map(Vector(shift=torch.tensor([1.0, -3.0])), 10).tolist() == [[1], [3]]
    assert heat_map(Dense(delta=torch.ones(600, 300)), 256).shape == (256, 256)
