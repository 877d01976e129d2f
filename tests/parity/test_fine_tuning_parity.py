"""ft, ft_l and ft_w with the published objective against the baselines of the ROME and MEMIT releases."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.editors import ft, ft_l, ft_w
from lib.edits.apply import own_orientation
from lib.edits.edit import Edit
from lib.edits.updates import Vector
from lib.methods.training.loop import Step
from tests.helpers.baselines import context, settings
from tests.helpers.models import golden_model
from tests.parity.compact import FINE_TUNING_STEP
from tests.parity.editing import requests
from tests.parity.reference import document, tensors

RUNS = document("fine_tuning")


@pytest.mark.parametrize("run", RUNS)
def test_fine_tuning_equals_the_original(run: str) -> None:
    family, hparams = run.split("_")[0], RUNS[run]["hparams"]
    model, tokenizer = golden_model(family)
    steps: list[Step] = []
    edits = [requests()[case] for case in hparams["case_ids"]]
    editor, settings = editor_of(run, hparams)
    edit: Edit = editor.edit(model, tokenizer, edits, settings, context(steps=steps))
    assert [step.loss for step in steps] == pytest.approx(RUNS[run]["batch_losses"], abs=1e-4)
    values = tensors("fine_tuning_deltas", run)
    reference = {path: value for path, value in values.items() if not path.endswith("/norm")}
    assert {added_to(path) for path in reference} == set(edit.updates)
    for path, delta in reference.items():
        added_delta = added(model, edit, path)
        if added_delta.dim() == 2:
            assert added_delta.norm().item() == pytest.approx(values[f"{path}/norm"].item(), rel=1e-3), path
            added_delta = added_delta[::FINE_TUNING_STEP]
        if path.endswith("c_attn.bias"):  # a key's bias has no gradient: Adam makes steps of float noise
            hidden = len(added_delta) // 3
            added_delta, delta = (torch.cat([part[:hidden], part[2 * hidden :]]) for part in (added_delta, delta))
        assert (added_delta - delta).norm() <= 1e-3 * delta.norm(), path


def editor_of(run: str, hparams: Mapping[str, Any]) -> tuple[Any, Any]:
    """The editor that does what a run of the original does, and its settings."""
    how: dict[str, Any] = {
        "objective": "published",
        "layers": hparams["layers"],
        "epochs": hparams["num_steps"],
        "lr": hparams["lr"],
        "batch_size": hparams["batch_size"],
    }
    if "constrained_linf" in run:
        return ft_l, settings(ft_l, "ft_l", **how, clamp=hparams["norm_constraint"])
    if "_wd_" in run:
        decay = "corrected" if run.endswith("intended") else "published"
        return ft_w, settings(ft_w, "ft_w", **how, decay=decay)
    return ft, settings(ft, "ft", **how)


def added_to(parameter: str) -> str:
    """The path under which an edit has the update of a parameter: a matrix's is its module's."""
    vector = parameter.endswith(".bias") or ".ln_" in parameter
    return parameter if vector else parameter.removesuffix(".weight")


def added(model: Any, edit: Edit, parameter: str) -> Tensor:
    """What an edit adds to a parameter, in the parameter's own orientation."""
    path = added_to(parameter)
    update = edit.updates[path]
    if isinstance(update, Vector):
        return update.shift
    return own_orientation(model.get_submodule(path), update.dense())
