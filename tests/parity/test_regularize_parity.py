"""Regularizers against the released code (RECT, its port in AlphaEdit, PRUNE) on updates of the golden tiny models."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib.core.params import Regularize
from lib.edits.apply import linear_weight, own_orientation
from lib.edits.edit import Edit
from lib.edits.regularize import accumulated, component_scores, drawn, principal, regularized
from lib.edits.updates import Dense, LowRank
from lib.models.architecture import architecture
from lib.protocols.job import UNEDITED
from tests.helpers.models import GOLDEN, golden_model
from tests.parity.folder import PRUNED_LAYERS
from tests.parity.reference import product, tensors

PRUNE = Regularize(method="prune", mode="corrected", keep=100, seed=0)
ROME = "transformer.h.1.mlp.c_proj"
KEEPS = (20, 40, 60, 80)


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    arrays: dict[str, Tensor] = load_file(GOLDEN / "regularizers.safetensors")
    return arrays


def bits(packed: Tensor, count: int) -> Tensor:
    return torch.from_numpy(np.unpackbits(packed.numpy(), count=count)).bool()


def relative(tensor: Tensor, reference: Tensor) -> float:
    return float((tensor - reference).norm() / reference.norm())


def rect(model: Any, delta: Tensor, keep: float) -> Tensor:
    """What rect keeps of a delta in GPT-2's own orientation, in that orientation."""
    settings = Regularize(method="rect", mode="corrected", keep=keep, seed=0)
    regular = regularized(Edit(updates={ROME: Dense(delta=delta.T)}), model, settings, UNEDITED)
    return regular.updates[ROME].dense().T  # type: ignore[union-attr]


@pytest.mark.parametrize("keep", KEEPS)
def test_rect_keeps_the_entries_that_the_released_mask_keeps(keep: int, stored: dict[str, Tensor]) -> None:
    delta = torch.outer(stored["rome_u"], stored["rome_v"])
    expected = bits(stored[f"rect_top{keep}"], delta.numel()).view_as(delta)
    assert torch.equal(rect(golden_model("gpt2")[0], delta, keep), delta * expected)


@pytest.mark.parametrize("keep", KEEPS)
def test_the_port_in_alphaedit_keeps_one_entry_more(keep: int, stored: dict[str, Tensor]) -> None:
    delta = torch.outer(stored["rome_u"], stored["rome_v"])
    port = bits(stored[f"rect_alphaedit_port_top{keep}"], delta.numel()).view_as(delta)
    own_mask = rect(golden_model("gpt2")[0], delta, keep) != 0
    assert bool((port | ~own_mask).all())
    assert int(port.sum()) == int(own_mask.sum()) + 1


def test_random_keeps_what_the_released_draw_keeps(stored: dict[str, Tensor]) -> None:
    draw = stored["random_draw_rows"]
    expected = bits(stored["random_kept_rows"], draw.numel()).view_as(draw)
    assert torch.equal(drawn(draw, 40), expected)


@pytest.mark.parametrize("components", [1, 5, 12])
@pytest.mark.parametrize("low_rank", [False, True])
def test_pca_transforms_the_published_scores_back(components: int, low_rank: bool, stored: dict[str, Tensor]) -> None:
    left, right = stored["pca_accumulated_left"], stored["pca_accumulated_right"]
    update = left @ right  # rows are samples, as the released code has it
    mean, scores = update.mean(0), stored["pca_scores"][:, :components]
    directions = torch.linalg.lstsq(scores, update - mean).solution
    own_update = LowRank(left=right.T, right=left.T) if low_rank else Dense(delta=update.T)
    assert relative(principal(own_update, components), (scores @ directions + mean).T) < 1e-5


def test_pca_as_published_gives_the_scores_of_the_release_up_to_their_sign(stored: dict[str, Tensor]) -> None:
    left, right, reference = stored["pca_accumulated_left"], stored["pca_accumulated_right"], stored["pca_scores"]
    scores = component_scores(Dense(delta=(left @ right).T), 12)  # rows are samples there, outputs here
    assert relative(scores[:12].abs(), reference[:, :12].T.abs()) < 1e-4
    assert not scores[12:].any()


def test_prune_of_three_sessions_gives_the_released_update(family: str) -> None:
    values, model = tensors("updates", f"prune_{family}"), golden_model(family)[0]
    layer = PRUNED_LAYERS[family]
    path = architecture(model).mlp_out_of(layer)
    module = model.get_submodule(path)
    total, pruned = (
        own_orientation(module, product(values, f"{kind}_layer{layer}").float())
        for kind in ("accumulated", "pruned_delta")
    )
    update = accumulated(Edit(updates={path: Dense(delta=total)}), model, PRUNE).updates[path]
    assert relative(update.dense(), pruned) < 1e-4  # type: ignore[union-attr]
    assert (linear_weight(module) + update.dense()).isfinite().all()  # type: ignore[union-attr]


def test_pca_of_a_rank_one_update_equals_the_released_inverse_transform(stored: dict[str, Tensor]) -> None:
    update = Dense(delta=torch.outer(stored["rome_v"], stored["rome_u"]))
    reference = product(tensors("updates"), "pca_rank_one").float()
    assert relative(principal(update, 16).T, reference) < 1e-5
