"""Who starts how many processes, and which GPUs each sees. The GPUs are made up."""

import os
import sys

import pytest
import torch

from lib.core.run import is_first
from lib.runtime import launch


@pytest.fixture(autouse=True)
def eight_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "ERRATA_PROCESSES", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "")  # so that whatever is set meanwhile is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)


@pytest.mark.parametrize(("gpus_each", "setting", "started"), [(1, None, 8), (2, None, 4), (3, None, 2), (2, "3", 3)])
def test_there_is_a_process_for_each_group_of_gpus(
    monkeypatch: pytest.MonkeyPatch, gpus_each: int, setting: str | None, started: int
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, command: commands.append(command))
    if setting:
        monkeypatch.setenv("ERRATA_PROCESSES", setting)
    launch.relaunch("stages.paraphrase", ["--a"], gpus_each)
    ((python, *rest),) = commands
    assert python == sys.executable
    assert rest == ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={started}", "-m",
                    "stages.paraphrase", "--a"]  # fmt: skip


def test_more_processes_than_groups_and_groups_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"needs 16 GPUs here \(para.tensor_parallel\); found 8"):
        launch.relaunch("stages.paraphrase", [], 16)
    monkeypatch.setenv("ERRATA_PROCESSES", "5")
    with pytest.raises(ValueError, match="wanted a number from 1 to 4; found '5'"):
        launch.relaunch("stages.paraphrase", [], 2)


@pytest.mark.parametrize(
    ("gpus_each", "rank", "visible", "own"), [(1, "3", None, "3"), (2, "3", None, "6,7"), (2, "1", "7,6,5,4", "5,4")]
)
def test_each_process_sees_its_own_gpus(
    monkeypatch: pytest.MonkeyPatch, gpus_each: int, rank: str, visible: str | None, own: str
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    launch.take_own_gpus(gpus_each)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == own


def test_without_a_launcher_all_gpus_stay_visible_and_the_process_is_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch.take_own_gpus(1)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert is_first()
    monkeypatch.setenv("RANK", "1")
    assert not is_first()
