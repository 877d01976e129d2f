"""Regularizers: what they keep, on every kind of update; the reference values are in tests/parity."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.core.params import Regularize
from lib.edits.apply import applied, linear_weight
from lib.edits.edit import Edit, compose
from lib.edits.regularize import accumulated, kept_count, largest, pruned, regularized
from lib.edits.updates import Dense, LowRank, Sparse, Vector
from lib.protocols.job import UNEDITED
from tests.helpers.models import tiny_model

PATH = {"gpt2": "transformer.h.0.mlp.c_proj", "llama": "model.layers.1.mlp.down_proj"}


def settings(method: str, keep: float = 40, seed: int = 0) -> Regularize:
    return Regularize(method=method, mode="corrected", keep=keep, seed=seed)  # type: ignore[arg-type]


def delta_of(model: Any, family: str, seed: int = 0) -> torch.Tensor:
    shape = linear_weight(model.get_submodule(PATH[family])).shape
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole(edit: Edit, model: Any, how: Regularize) -> Edit:
    """A run of one session, regularized."""
    return accumulated(regularized(edit, model, how, UNEDITED), model, how)


@given(keep=st.floats(0.1, 100), seed=st.integers(0, 5))
def test_rect_keeps_so_many_percent_and_those_that_change_their_weight_most(keep: float, seed: int) -> None:
    model = tiny_model("gpt2")
    delta = delta_of(model, "gpt2", seed)
    regular = regularized(Edit(updates={PATH["gpt2"]: Dense(delta=delta)}), model, settings("rect", keep), UNEDITED)
    update = regular.updates[PATH["gpt2"]]
    assert isinstance(update, Sparse)
    assert len(update.index) == delta.numel() - int(delta.numel() * (1 - keep / 100))
    relative = (delta / linear_weight(model.get_submodule(PATH["gpt2"]))).abs()
    mask = torch.zeros(delta.numel(), dtype=torch.bool)
    mask[update.index] = True
    if not mask.all():
        assert relative.flatten()[mask].min() >= relative.flatten()[~mask].max()
    assert torch.equal(update.dense(), torch.where(mask.view(delta.shape), delta, 0))


def test_rect_counts_the_edit_before_as_part_of_the_weight() -> None:
    model = tiny_model("llama")
    delta = torch.ones_like(delta_of(model, "llama"))
    weight = linear_weight(model.get_submodule(PATH["llama"]))
    earlier = Edit(updates={PATH["llama"]: Dense(delta=torch.randn(weight.shape) - weight)})
    regular = regularized(Edit(updates={PATH["llama"]: Dense(delta=delta)}), model, settings("rect"), earlier)
    magnitudes = (weight + earlier.updates[PATH["llama"]].dense()).abs().flatten()  # type: ignore[union-attr]
    index = regular.updates[PATH["llama"]].index  # type: ignore[union-attr]
    assert magnitudes[index].max() <= magnitudes.sort().values[len(index)]


def test_a_weight_of_zero_is_changed_infinitely_and_kept() -> None:
    model = tiny_model("llama")
    weight = model.get_submodule(PATH["llama"]).weight
    with torch.no_grad():
        weight[3, 5] = 0
    delta = torch.full_like(weight, 1e-6)
    regular = regularized(Edit(updates={PATH["llama"]: Dense(delta=delta)}), model, settings("rect", 0.1), UNEDITED)
    assert regular.updates[PATH["llama"]].dense()[3, 5] != 0  # type: ignore[union-attr]


def test_random_keeps_about_its_share_and_the_same_with_the_same_seed() -> None:
    model = tiny_model("gpt2")
    edit = Edit(updates={PATH["gpt2"]: Dense(delta=delta_of(model, "gpt2"))})
    first, same, reseeded = (regularized(edit, model, settings("random", 40, seed), UNEDITED) for seed in (1, 1, 2))
    index = [edit_of_seed.updates[PATH["gpt2"]].index for edit_of_seed in (first, same, reseeded)]  # type: ignore[union-attr]
    assert torch.equal(index[0], index[1])
    assert not torch.equal(index[0], index[2])
    assert 0.35 < len(index[0]) / edit.updates[PATH["gpt2"]].delta.numel() < 0.45  # type: ignore[union-attr]


def test_pca_with_all_components_is_the_update_and_with_fewer_has_their_rank() -> None:
    model = tiny_model("llama")
    delta = delta_of(model, "llama")
    edit = Edit(updates={PATH["llama"]: Dense(delta=delta)})
    full, part = (
        regularized(edit, model, settings("pca", keep), UNEDITED).updates[PATH["llama"]] for keep in (100, 25)
    )
    torch.testing.assert_close(full.dense(), delta, atol=1e-4, rtol=1e-4)  # type: ignore[union-attr]
    part_delta = part.dense()  # type: ignore[union-attr]
    assert torch.linalg.matrix_rank(part_delta - part_delta.mean(dim=1, keepdim=True)) == round(min(delta.shape) * 0.25)
    assert (delta - part_delta).norm() < delta.norm()


def test_published_pca_leaves_what_points_along_each_component_in_the_first_outputs() -> None:
    """Inputs are samples: (2, 0), (-2, 0), (0, 1), (0, -1) have the axes as components, and themselves as scores."""
    model = tiny_model("llama")
    delta = torch.zeros_like(delta_of(model, "llama"))
    delta[3, :4], delta[5, :4] = torch.tensor([2.0, -2, 0, 0]), torch.tensor([0, 0, 1.0, -1])
    edit = Edit(updates={PATH["llama"]: Dense(delta=delta)})
    published = settings("pca", 5).model_copy(update={"mode": "published"})
    scores = regularized(edit, model, published, UNEDITED).updates[PATH["llama"]].dense()  # type: ignore[union-attr]
    assert kept_count(min(delta.shape), 5) == 2
    torch.testing.assert_close(scores[0, :4].abs(), torch.tensor([2.0, 2, 0, 0]))
    torch.testing.assert_close(scores[1, :4].abs(), torch.tensor([0, 0, 1.0, 1]))
    assert scores[0, 0] == -scores[0, 1]
    assert scores.count_nonzero() == 4


def test_prune_lowers_only_what_is_above_the_base() -> None:
    base = torch.diag(torch.tensor([2.0, 1.0, 1.0]))
    small = pruned(Dense(delta=torch.diag(torch.tensor([20.0, 1.5, 0.5]))), base)
    expected = torch.tensor([torch.log(torch.tensor(10.0)) + 2.0, 1.5, 0.5])
    torch.testing.assert_close(small.diagonal(), expected)


def test_prune_leaves_sessions_alone_and_lowers_their_sum_the_base_being_unedited() -> None:
    model = tiny_model("gpt2")
    base = linear_weight(model.get_submodule(PATH["gpt2"])).clone()
    first, two = (Edit(updates={PATH["gpt2"]: Dense(delta=30 * delta_of(model, "gpt2", seed))}) for seed in (1, 2))
    assert regularized(two, model, settings("prune"), first) is two
    combined = compose(first, two)
    regular = accumulated(combined, model, settings("prune"))
    expected = pruned(combined.updates[PATH["gpt2"]], base)  # type: ignore[arg-type]
    torch.testing.assert_close(regular.updates[PATH["gpt2"]].dense(), expected, atol=1e-3, rtol=1e-3)  # type: ignore[union-attr]
    assert regular.info["regularize"]["method"] == "prune"
    assert accumulated(combined, model, settings("rect")) is combined


@given(keep=st.floats(0.1, 100), values=st.lists(st.sampled_from([0.0, 1.0, 2.0, float("inf")]), min_size=1))
def test_of_equal_entries_the_last_ones_are_kept_as_a_stable_sort_has_it(keep: float, values: list[float]) -> None:
    order = sorted(range(len(values)), key=lambda index: values[index])
    expected = set(order[int(len(values) * (1 - keep / 100)) :])
    assert {index for index, is_kept in enumerate(largest(torch.tensor(values), keep).tolist()) if is_kept} == expected


def test_random_keeps_other_entries_in_another_session() -> None:
    model = tiny_model("gpt2")
    edit = Edit(updates={PATH["gpt2"]: Dense(delta=delta_of(model, "gpt2"))})
    first, second = (
        regularized(edit, model, settings("random"), UNEDITED, name).updates[PATH["gpt2"]] for name in "ab"
    )
    assert not torch.equal(first.index, second.index)  # type: ignore[union-attr]


def test_what_is_not_finite_is_refused_and_not_dropped() -> None:
    model = tiny_model("llama")
    delta = delta_of(model, "llama")
    delta[0, 0] = torch.nan
    for method in ("rect", "prune"):
        with pytest.raises(ValueError, match="not finite"):
            whole(Edit(updates={PATH["llama"]: Dense(delta=delta)}), model, settings(method))


@pytest.mark.parametrize("method", ["pca", "prune"])
def test_a_low_rank_update_and_the_same_as_a_matrix_end_up_equal(method: str) -> None:
    model = tiny_model("gpt2")
    d_out, d_in = linear_weight(model.get_submodule(PATH["gpt2"])).shape
    generator = torch.Generator().manual_seed(0)
    low = LowRank(left=torch.randn(d_out, 12, generator=generator), right=torch.randn(12, d_in, generator=generator))
    results = [
        whole(Edit(updates={PATH["gpt2"]: same_update}), model, settings(method, 10)).updates[PATH["gpt2"]]
        for same_update in (low, Dense(delta=low.dense()))
    ]
    torch.testing.assert_close(results[0].dense(), results[1].dense(), atol=1e-3, rtol=1e-3)  # type: ignore[union-attr]
    assert not torch.allclose(results[0].dense(), low.dense(), atol=1e-2)  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["rect", "random", "pca", "prune"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_every_kind_of_update_is_taken_and_can_be_applied(method: str, family: str) -> None:
    model = tiny_model(family)
    d_out, d_in = linear_weight(model.get_submodule(PATH[family])).shape
    low = LowRank(left=torch.randn(d_out, 2), right=torch.randn(2, d_in))
    bias = Vector(shift=torch.ones(d_out))
    edit = Edit(updates={PATH[family]: low} | ({f"{PATH[family]}.bias": bias} if family == "gpt2" else {}))
    regular = whole(edit, model, settings(method))
    ids = torch.tensor([[1, 2, 3]])
    before = model(ids).logits
    with applied(model, regular):
        assert not torch.allclose(model(ids).logits, before)
    assert torch.equal(model(ids).logits, before)
    if family == "gpt2":
        assert regular.updates[f"{PATH[family]}.bias"] is bias
