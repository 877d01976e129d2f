"""Stage hypernet in two processes: the network of one, also after one of them was killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib.core.records import Fact, Request
from lib.core.tables import write
from tests.helpers.baselines import REQUESTS
from tests.helpers.hypernet_process import TRAINING
from tests.helpers.hypernets import EDITORS, POOL, quick
from tests.helpers.models import tiny_model

TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def trained(folder: Path, editor: str, launcher: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """What became of the stage, in as many processes as the launcher starts."""
    paths = {option: folder / option for option in ("requests", "pool", "model", "hypernet", "metrics", "usage")}
    paths["model"].mkdir(parents=True, exist_ok=True)
    write(paths["requests"], Request, REQUESTS)
    write(paths["pool"], Fact, POOL)
    command = [sys.executable, *launcher, "-m", "tests.helpers.hypernet_process", editor]
    environment = {"DVC_ROOT": str(folder), "OMP_NUM_THREADS": "1", "ERRATA_PROCESSES": "1"}
    return subprocess.run(
        [*command, *(f"--{name}={path}" for name, path in paths.items())],
        env=os.environ | environment | variables, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    network: dict[str, torch.Tensor] = load_file(folder / "hypernet/hypernet.safetensors")
    return network


@pytest.mark.slow
@pytest.mark.parametrize("editor", EDITORS)
def test_two_processes_train_the_network_of_one(editor: str, tmp_path: Path) -> None:
    alone, shared = tmp_path / "one", tmp_path / "two"
    for folder, launcher in ((alone, []), (shared, TWO)):
        ended = trained(folder, editor, launcher)
        assert ended.returncode == 0, ended.stderr
    single, double = weights(alone), weights(shared)
    untrained = EDITORS[editor].new_network(tiny_model("llama"), quick(editor, **TRAINING[editor])).state_dict()
    assert single.keys() == double.keys() == untrained.keys()
    for name, tensor in single.items():
        moved = (tensor - untrained[name]).double().norm()
        apart = (double[name] - tensor).double().norm()
        assert apart <= 0.01 * moved + 1e-6, f"{name}: {apart} apart after it moved by {moved}"
    figures = [json.loads((folder / "metrics").read_text()) for folder in (alone, shared)]
    assert figures[1] == pytest.approx(figures[0], rel=1e-3)
    assert (shared / "usage").is_file()


@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_the_same_command_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    assert trained(tmp_path / "whole", "mend", TWO).returncode == 0
    assert trained(tmp_path / "killed", "mend", TWO, DIE_AT="5").returncode != 0
    assert not (tmp_path / "killed/hypernet").exists()
    assert list((tmp_path / "killed/.scratch/hypernet").glob("*/state.safetensors"))
    resumed = trained(tmp_path / "killed", "mend", TWO)
    assert resumed.returncode == 0, resumed.stderr
    files = [tmp_path / name / "hypernet/hypernet.safetensors" for name in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
