"""ft, ft_l and ft_w with the published objective against the baselines of the ROME and MEMIT releases."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lib.editors import ft, ft_l, ft_w
from lib.edits.apply import own_orientation
from lib.edits.edit import Edit
from lib.edits.updates import Vector
from lib.methods.training.loop import Step
from tests.helpers.baselines import context, settings
from tests.helpers.models import golden_model
from tests.parity.editing import GOLDEN, requests

RUNS = json.loads((GOLDEN / "fine_tuning.json").read_text())
ALL = ["unconstrained", "unconstrained_bs5", "single_request", "constrained_linf", "wd_as_published", "wd_as_intended"]


def check(run: str, hparams: Mapping[str, Any], losses: list[float], deltas: Mapping[str, torch.Tensor]) -> Edit:
    """Fail where losses or deltas differ from those of the original."""
    model, tokenizer = golden_model(run.split("_")[0])
    how: dict[str, Any] = {
        "objective": "published",
        "layers": hparams["layers"],
        "epochs": hparams["num_steps"],
        "lr": hparams["lr"],
        "batch_size": hparams["batch_size"],
    }
    editor: Any = ft
    name = "ft"
    if "constrained_linf" in run:
        editor, name, how = ft_l, "ft_l", how | {"clamp": hparams["norm_constraint"]}
    if "_wd_" in run:
        editor, name, how = ft_w, "ft_w", how | {"decay": "corrected" if run.endswith("intended") else "published"}
    steps: list[Step] = []
    asked = [requests()[case] for case in hparams["case_ids"]]
    made: Edit = editor.edit(model, tokenizer, asked, settings(editor, name, **how), context(steps=steps))
    assert [one.loss for one in steps] == pytest.approx(losses, abs=1e-4)
    for path, wanted in deltas.items():
        if path in made.updates:
            update = made.updates[path]
            assert isinstance(update, Vector)
            found = update.shift
        else:
            matrix = made.updates[path.removesuffix(".weight")]
            assert not isinstance(matrix, Vector)
            found = own_orientation(model.get_submodule(path.removesuffix(".weight")), matrix.dense())
        if path.endswith("c_attn.bias"):  # a key's bias has no gradient: Adam makes steps of float noise
            hidden = len(found) // 3
            found, wanted = (torch.cat([one[:hidden], one[2 * hidden :]]) for one in (found, wanted))
        assert (found - wanted).norm() <= 1e-3 * wanted.norm(), path
    return made


@pytest.mark.parametrize("run", RUNS)
def test_fine_tuning_equals_the_original(run: str) -> None:
    deltas = {
        key.removeprefix(f"{run}/"): value
        for key, value in load_file(GOLDEN / "fine_tuning_deltas.safetensors").items()
        if key.startswith(f"{run}/")
    }
    assert deltas
    made = check(run, RUNS[run]["hparams"], RUNS[run]["batch_losses"], deltas)
    assert len(made.updates) == RUNS[run]["parameters"]


@pytest.mark.parametrize(
    "run", [f"{model}_{run}" for model in ("gpt2", "gptj") for run in ALL if f"{model}_{run}" not in RUNS]
)
def test_every_other_run_equals_the_original(run: str, golden: Path) -> None:
    hparams = json.loads((golden / f"hparams/ft_{run}.json").read_text())
    losses = json.loads((golden / f"outputs/05_ft_{run}.json").read_text())["batch_losses"]
    with np.load(golden / f"outputs/05_ft_{run}.npz") as arrays:
        deltas = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    assert len(check(run, hparams, losses, deltas).updates) == len(deltas)
