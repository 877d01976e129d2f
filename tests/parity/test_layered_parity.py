"""MEMIT, EMMET and AlphaEdit against the released implementations."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import cast

import pytest
import torch
from torch import Tensor

from lib.edits.apply import applied
from lib.edits.edit import Edit, compose
from lib.methods.locating import layered as locate_then_edit
from lib.methods.locating.optimisation import Optimisation
from lib.methods.locating.second_moments import load_moment, save_moment, second_moments
from lib.methods.locating.target_vectors import target_values
from lib.models.architecture import architecture
from tests.helpers.models import golden_model
from tests.parity.editing import requests
from tests.parity.locating import REQUESTS, context, delta, layered, optimisation, relative, results_of
from tests.parity.reference import document, memit_updates, product, tensors

OWN_MOMENTS = 1e-3
"""Of an update with keys, z and second moments of our own: the moments' condition is 1e4 to 1e7."""
pytestmark = pytest.mark.usefixtures("reference_contexts")


def moments_as_released(family: str, layers: list[int], statistics: Path, folder: Path) -> Path:
    """MEMIT's release gathers a layer's second moment when it comes to it, with the layers before already edited."""
    model, tokenizer = golden_model(family)
    folder = Path(copytree(statistics, folder / "statistics"))
    updates = memit_updates(family, model)
    paths = [architecture(model).mlp_out_of(layer) for layer in layers]
    for index, path in enumerate(paths[1:], 1):
        scratch = folder / f"scratch{index}"
        scratch.mkdir()
        with applied(model, Edit(updates={earlier: updates[earlier] for earlier in paths[:index]})):
            texts = document("inputs/covariance_texts")
            moments = second_moments(model, tokenizer, texts, [path], 4096, scratch, lambda parts: parts)
        save_moment(folder, path, moments[path])
    return folder


def reference_delta(reference: Mapping[str, Tensor], layer: int) -> Tensor:
    """resid adj_k^T: [d_out, d_in]"""
    return reference[f"resid_layer{layer}"].double() @ reference[f"adj_k_layer{layer}"].double().T


@pytest.mark.slow
def test_memit(family: str, statistics: Path, tmp_path: Path) -> None:
    run = f"memit_{family}"
    reference, hparams = tensors("memit", family), document("hparams")[run]
    model, tokenizer = golden_model(family)
    if family != "llama":  # whose reference comes from a release that gathers all moments first
        statistics = moments_as_released(family, hparams["layers"], statistics, tmp_path)
    module, settings = layered("memit", hparams, moment_weight=float(hparams["mom2_update_weight"]))
    with (
        results_of(locate_then_edit, "target_values") as searches,
        results_of(locate_then_edit, "request_keys") as keys,
    ):
        edit = module.edit(model, tokenizer, REQUESTS, settings, context(statistics))
    assert relative(searches[0].initial, reference["z_init"]) < 1e-5
    assert relative(searches[0].target, reference["z"]) < 1e-4
    traces = document("loss_traces")[run]
    assert searches[0].loss == [pytest.approx(traces[str(case)], abs=1e-4) for case in range(len(REQUESTS))]
    for layer, keys_of_layer in zip(hparams["layers"], keys, strict=True):
        assert relative(keys_of_layer, reference[f"K_layer{layer}"]) < 1e-5, layer
        assert relative(delta(model, edit, layer), reference_delta(reference, layer)) < OWN_MOMENTS, layer


@pytest.mark.parametrize("family", ["gpt2", "gptj"])
@pytest.mark.slow
def test_a_search_that_may_stop_early_goes_as_the_originals(family: str) -> None:
    run = f"memit_{family}_earlystop"
    hparams = document("hparams")[run]
    model, tokenizer = golden_model(family)
    edits = [replace(request, target_new=cast(str, request.target_true)) for request in REQUESTS[:6]]
    contexts = [context for group in document("inputs/context_templates")["memit"] for context in group]
    settings = Optimisation(**optimisation(hparams))
    block = architecture(model).block(hparams["layers"][-1])
    search = target_values(model, tokenizer, edits, block, hparams["fact_token"], contexts, settings)
    traces = document("loss_traces")[run]
    assert [len(losses) for losses in search.loss] == [len(traces[str(case)]) for case in range(len(edits))]
    assert search.loss == [pytest.approx(traces[str(case)], abs=1e-4) for case in range(len(edits))]
    for target, reference in zip(search.target, tensors("memit", run.removeprefix("memit_"))["z"], strict=True):
        assert relative(target, reference) < 1e-3


def test_memits_adjusted_keys_of_the_originals_moment_and_keys() -> None:
    reference, hparams = tensors("memit", "llama"), document("hparams")["memit_llama"]
    triangle = tensors("second_moments", "llama")["triangle_layer0"].double()
    keys = reference["K_layer0"].double()
    moment = torch.zeros(len(keys), len(keys), dtype=torch.float64)
    moment[tuple(torch.triu_indices(*moment.shape))] = triangle
    moment = moment + moment.T - moment.diagonal().diag()
    adjusted = locate_then_edit.memit_keys(moment, keys, float(hparams["mom2_update_weight"]))
    assert relative(adjusted, reference["adj_k_layer0"]) < 1e-8


@pytest.mark.parametrize("run", ["batch12_1layer", "batch12_2layers", "batch5_1layer_unl", "batch1_1layer"])
@pytest.mark.parametrize("family", ["gpt2", "gptj"])
@pytest.mark.slow
def test_emmet(family: str, statistics: Path, run: str) -> None:
    reference, hparams = tensors("emmet", f"{family}_{run}"), document("hparams")[f"emmet_{family}_{run}"]
    model, tokenizer = golden_model(family)
    ridge = 0.0 if run == "batch1_1layer" else float(hparams["emmet_lambda"])  # the release leaves it out for one
    module, settings = layered(
        "emmet", hparams, ridge=ridge, moment_weight=float(hparams["mom2_update_weight"]),
        moment_ridge=float(hparams["update_norm_lambda"]),
    )  # fmt: skip
    edits = [requests()[case] for case in reference["case_id"].tolist()]
    with results_of(locate_then_edit, "target_values") as searches:
        edit = module.edit(model, tokenizer, edits, settings, context(statistics))
    assert relative(searches[0].target, reference["z"]) < 1e-4
    tolerance = 1e-5 if hparams["update_norm_lambda"] else OWN_MOMENTS  # plus lambda I, a moment is well conditioned
    for layer in hparams["layers"]:
        assert relative(delta(model, edit, layer), reference_delta(reference, layer)) < tolerance


@pytest.mark.parametrize("family", ["gpt2", "gptj"])
def test_emmets_adjusted_keys_of_the_originals_keys(family: str, statistics: Path) -> None:
    run = "batch5_1layer_unl"
    reference, hparams = tensors("emmet", f"{family}_{run}"), document("hparams")[f"emmet_{family}_{run}"]
    (layer,) = hparams["layers"]
    moment = load_moment(statistics, architecture(golden_model(family)[0]).mlp_out_of(layer)).moment.double()
    ridge = float(hparams["update_norm_lambda"]) * torch.eye(len(moment), dtype=torch.float64)
    moment = float(hparams["mom2_update_weight"]) * moment + ridge
    keys = reference[f"K_layer{layer}"].double()
    adjusted = locate_then_edit.emmet_keys(moment, keys, float(hparams["emmet_lambda"]))
    assert relative(adjusted, reference[f"adj_k_layer{layer}"]) < 1e-6


def test_the_null_space_of_every_layer(family: str, statistics: Path) -> None:
    reference, hparams = tensors("alphaedit", family), document("hparams")[f"alphaedit_{family}"]
    arch = architecture(golden_model(family)[0])
    for layer, dimension in zip(hparams["layers"], reference["nullspace_dim"].tolist(), strict=True):
        moment = load_moment(statistics, arch.mlp_out_of(layer)).moment.double()
        projection = locate_then_edit.null_space(moment, hparams["nullspace_threshold"])
        rows = reference[f"P_rows_layer{layer}"]
        assert projection.trace().item() == pytest.approx(dimension, abs=1e-6)
        assert relative(projection[:: len(projection) // len(rows)], rows) < 1e-4
        if f"basis_layer{layer}" in reference:
            assert relative(projection, released_projection(reference, layer)) < 1e-4


def released_projection(reference: Mapping[str, Tensor], layer: int) -> Tensor:
    """P = I - basis basis^T"""
    basis = reference[f"basis_layer{layer}"].double()
    return torch.eye(len(basis), dtype=torch.float64) - basis @ basis.T


def two_batches(family: str, statistics: Path) -> list[tuple[Edit, Tensor]]:
    """The edits of requests 0 to 5, and of 6 to 11 on top of them, each with its z."""
    hparams = document("hparams")[f"alphaedit_{family}"]
    model, tokenizer = golden_model(family)
    module, settings = layered(
        "alphaedit", hparams, threshold=hparams["nullspace_threshold"], ridge=float(hparams["L2"])
    )
    before = Edit(updates={})
    edits = []
    for batch in range(2):
        edited_requests = REQUESTS[6 * batch : 6 * batch + 6]
        with applied(model, before), results_of(locate_then_edit, "target_values") as searches:
            edit = module.edit(model, tokenizer, edited_requests, settings, context(statistics, before.state))
        edits.append((edit, searches[0].target))
        before = compose(before, edit)
    return edits


def check_two_batches(family: str, edits: list[tuple[Edit, Tensor]], tolerance: float) -> None:
    """Fail where z or a layer's delta differs from the reference's."""
    reference, model = tensors("alphaedit", family), golden_model(family)[0]
    for batch, (edit, z) in enumerate(edits):
        of_search = tolerance if batch else 1e-4  # the second batch's model has our own first update
        assert relative(z, reference[f"z_batch{batch}"]) < of_search, batch
        for layer in document("hparams")[f"alphaedit_{family}"]["layers"]:
            released = product(reference, f"delta_batch{batch}_layer{layer}")
            released = released.T if family == "gpt2" else released  # Conv1D stores [d_in, d_out]
            assert relative(delta(model, edit, layer), released) < tolerance, (batch, layer)


@pytest.mark.slow
def test_alphaedit_over_two_batches(family: str, statistics: Path) -> None:
    check_two_batches(family, two_batches(family, statistics), OWN_MOMENTS)


@pytest.mark.slow
def test_alphaedit_with_the_originals_projection(
    statistics_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = tensors("alphaedit", "llama")
    projections = [released_projection(reference, layer) for layer in document("hparams")["alphaedit_llama"]["layers"]]
    remaining = iter([*projections, *projections])
    monkeypatch.setattr(locate_then_edit, "null_space", lambda *_: next(remaining))
    check_two_batches("llama", two_batches("llama", statistics_of("llama")), 1e-4)


@pytest.mark.parametrize("batch", [0, 1])
def test_alphaedits_adjusted_keys_of_the_originals_projection_keys_and_z(batch: int) -> None:
    reference, hparams = tensors("alphaedit", "llama"), document("hparams")["alphaedit_llama"]
    for index, layer in enumerate(hparams["layers"]):
        keys, earlier = reference[f"K_batch{batch}_layer{layer}"].double(), reference[f"Kafter_batch0_layer{layer}"]
        cache = earlier.double() @ earlier.double().T if batch else torch.zeros(len(keys), len(keys)).double()
        projection = released_projection(reference, layer)
        adjusted = locate_then_edit.alphaedit_keys(projection, keys, cache, float(hparams["L2"]))
        left = reference[f"z_batch{batch}"].T - reference[f"cur_z_batch{batch}_layer{layer}"]
        update = left.double() / (len(hparams["layers"]) - index) @ adjusted.T
        assert relative(update, product(reference, f"delta_batch{batch}_layer{layer}")) < 1e-4
