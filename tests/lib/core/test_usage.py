"""Seconds and peak memory of a stage: measured by run_stage, written to a file, told in the log's last line."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.core.run import file_options, run_stage
from lib.core.usage import in_words, peak_memory_mib
from tests.helpers.imports import ROOT

STAGE = """
import argparse, time
from lib.core.run import file_options, run_stage
def main(options: argparse.Namespace) -> None:
    block = bytearray(300 * 2**20)
    block[::4096] = bytes(len(block[::4096]))
    del block
    time.sleep(0.3)
    print("done")
run_stage(main, file_options("a stage"))
"""


def test_a_stage_writes_and_says_its_seconds_and_its_peak_memory(tmp_path: Path) -> None:
    (tmp_path / "edit.py").write_text(STAGE)
    command = [sys.executable, str(tmp_path / "edit.py"), f"--usage={tmp_path / 'usage/usage.json'}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    usage = json.loads((tmp_path / "usage/usage.json").read_text())
    assert {*usage} == {"seconds", "peak_memory_mib"}
    assert 0.3 <= usage["seconds"] < 30
    assert 300 <= usage["peak_memory_mib"] < 600, "of the stage, not of the process that started it"
    assert done.stderr.splitlines()[-1] == (
        f"edit took {usage['seconds']} seconds and at most {usage['peak_memory_mib']} MiB of memory"
    )


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="elsewhere only the peak of all programs is known")
def test_the_peak_is_of_this_program_alone() -> None:
    block = b"x" * 2**30
    code = "from lib.core.usage import peak_memory_mib; print(peak_memory_mib()['peak_memory_mib'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(block) // 2**20 <= peak_memory_mib()["peak_memory_mib"]
    assert int(done.stdout) < 500


def test_a_stage_that_fails_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def main(options: argparse.Namespace) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(sys, "argv", ["stage", f"--usage={tmp_path / 'usage.json'}"])
    with pytest.raises(SystemExit, match="no network"):
        run_stage(main, file_options("a stage"))
    assert not list(tmp_path.iterdir())


def test_of_several_processes_the_first_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", f"--usage={tmp_path / 'usage.json'}"])
    for rank, written in (("1", False), ("0", True)):
        monkeypatch.setitem(os.environ, "RANK", rank)
        run_stage(lambda options: None, file_options("a stage"))
        assert (tmp_path / "usage.json").exists() == written


def test_memory_of_a_gpu_is_said_where_there_is_one() -> None:
    usage = {"seconds": 61.25, "peak_memory_mib": 1234, "peak_gpu_memory_mib": 70000}
    assert in_words("edit", usage) == (
        "edit took 61.2 seconds, at most 1,234 MiB of memory and 70,000 MiB of GPU memory"
    )


def test_what_making_edits_took_is_told_where_a_stage_scores_them_too() -> None:
    usage = {"seconds": 61.25, "peak_memory_mib": 1234, "editing_seconds": 40.12}
    assert in_words("score", usage) == (
        "score took 61.2 seconds, 40.1 seconds to make the edits and at most 1,234 MiB of memory"
    )


def test_what_was_found_stored_is_told_beside_the_seconds() -> None:
    usage = {"seconds": 61.25, "peak_memory_mib": 1234, "reused_seconds": 850.3}
    assert in_words("edit", usage) == (
        "edit took 61.2 seconds, 850.3 seconds of an earlier run's work that it found stored and at most 1,234 MiB of "
        "memory"
    )
