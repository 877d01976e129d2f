"""Stage edit on two machines, played by two torchruns on this one: the result of one, also after one was killed."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.helpers import small
from tests.stages.test_edit import OUTPUTS

CHANGES = {"train": {"epochs": 12, "batch_size": 4, "checkpoint_steps": 2}, "editor": "lora"}
STEPS = 12


def options(folder: Path) -> list[str]:
    """What dvc.yaml would pass."""
    paths = {**small.inputs(folder), **{name: folder / path for name, path in OUTPUTS.items()}}
    paths["usage"] = folder / "metrics/usage/edit.json"
    return [f"--{name}={path}" for name, path in paths.items() if name != "evaluation"]


def machines(folder: Path, **variables: str) -> list[subprocess.CompletedProcess[str]]:
    """Two torchruns that meet at a fixed address, each with one process; what became of them, by number."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    arguments = options(folder)
    environment = os.environ | {"DVC_ROOT": str(folder), "OMP_NUM_THREADS": "1"} | variables
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={number}",
             "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}",
             "-m", "tests.helpers.edit_process", json.dumps(CHANGES), *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=300) for process in started]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *texts)
        for process, texts in zip(started, outputs, strict=True)
    ]


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = load_file(folder / OUTPUTS["edit"] / "adapter_model.safetensors")
    return weights


@pytest.fixture(scope="module", params=["0", "1"], ids=["whole", "sharded"])
def shard(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def two_machines(shard: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    for done in machines(folder, ERRATA_SHARD=shard):
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_two_machines_make_the_edit_of_one(two_machines: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.helpers.edit_process", json.dumps(CHANGES), *options(tmp_path)]
    subprocess.run(command, env=os.environ | {"DVC_ROOT": str(tmp_path)}, check=True, timeout=300)
    single, double = adapter(tmp_path), adapter(two_machines)
    assert any(matrix.any() for name, matrix in single.items() if "lora_B" in name)
    assert single.keys() == double.keys()
    for name, matrix in single.items():
        torch.testing.assert_close(double[name], matrix, atol=2e-4, rtol=1e-3)
    assert [(two_machines / f"steps-{rank}").read_text() for rank in range(2)] == [str(STEPS)] * 2


@pytest.mark.slow
def test_a_killed_process_ends_the_other_with_a_reason_and_the_same_command_goes_on(
    two_machines: Path, shard: str, tmp_path: Path
) -> None:
    first, second = machines(tmp_path, DIE_AT="7", ERRATA_SHARD=shard)
    assert (first.returncode, second.returncode) == (1, 1)
    assert "error: process 0 of 2: another process has ended or cannot be reached" in first.stderr
    assert "the same command goes on from the last checkpoint" in first.stderr
    assert not [*(tmp_path / OUTPUTS["edit"]).glob("*")]
    assert not (tmp_path / OUTPUTS["metrics"]).exists()
    checkpoints = sorted(path.name for path in (tmp_path / ".scratch/edit").glob("*/step-*"))
    assert checkpoints[-1] == "step-00000006.safetensors"
    for done in machines(tmp_path, ERRATA_SHARD=shard):
        assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"steps-{rank}").read_text() for rank in range(2)] == [str(STEPS - 6)] * 2
    for name, matrix in adapter(two_machines).items():
        assert torch.equal(adapter(tmp_path)[name], matrix)
