"""How many threads a model gets on a CPU, and that waiting threads sleep."""

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from lib.runtime.threads import SMALL, threads_for, use_threads
from tests.helpers.imports import ROOT

STAGE = """
import os
from lib.core.run import run

def main() -> None:
    import torch
    print(os.environ["OMP_WAIT_POLICY"])

run(main)
"""


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that computes with two threads, of which the user has said nothing."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("parameters", "threads"), [(957_952, 1), (SMALL - 1, 1), (SMALL, 8), (135_000_000, 8)])
def test_a_small_model_gets_one_thread(parameters: int, threads: int) -> None:
    assert threads_for(parameters, cores=8) == threads


@pytest.mark.usefixtures("two_threads")
def test_the_number_is_set_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        use_threads(957_952)
    assert torch.get_num_threads() == 1
    assert caplog.messages == [
        "threads: 1 of 2, for a model of 957,952 parameters (OMP_NUM_THREADS says another number)"
    ]


@pytest.mark.usefixtures("two_threads")
def test_a_number_that_the_user_says_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    use_threads(957_952)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("user", "policy"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(user: dict[str, str], policy: str) -> None:
    command = [sys.executable, "-c", STAGE]
    done = subprocess.run(command, cwd=ROOT, env=user, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == policy
