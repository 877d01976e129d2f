"""The GPU suite runs whole at a toy size here, and imports nothing that a bare GPU machine lacks."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gpu import __main__ as suite
from tests.helpers.imports import ROOT

ABSENT = ("polars", "pyarrow", "dvc", "pydantic", "ruamel", "psutil", "faiss", "vllm")
BLOCKED = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
sys.argv = ["gpu", "--device", "cpu", "--tiny", "--output", {{output!r}}]
from bench.gpu.__main__ import main
main()
"""


@pytest.mark.slow
def test_every_part_runs_on_a_bare_machine_at_a_toy_size(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    code = BLOCKED.format(output=str(output))
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    summary = json.loads(output.read_text())
    assert summary["failed"] == [], {name: summary["parts"][name] for name in summary["failed"]}
    assert {*summary["parts"]} == {*suite.PARTS}
    parts = summary["parts"]
    for name in ("lora_gpt2_xl", "lora_gpt_j_6b", "lora_llama_8b"):
        engine, trainer = parts[name]["engine"], parts[name]["trainer"]
        assert engine["losses"] == pytest.approx(trainer["losses"], abs=1e-3)
        assert engine["pairs_a_second"] > 0
    assert parts["scoring"]["largest_difference"] < 1e-3
    assert parts["rome"]["last_losses"]["engine"] > 0
    assert parts["equality"]["equal"]


def test_a_part_that_fails_is_named_and_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(machine: object) -> dict[str, object]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(suite, "_functions", lambda: {"rome": failing})
    options = argparse.Namespace(device="cpu", tiny=True, seconds=1.0)
    assert suite.guarded("rome", options) == {"failed": "RuntimeError: out of memory"}


def test_a_part_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(command: list[str], timeout: float, **_: object) -> None:
        assert timeout == suite.PARTS["rome"]
        raise subprocess.TimeoutExpired(command, timeout)

    options = argparse.Namespace(device="cpu", seconds=1.0)
    assert "no time is left" in suite.in_process_of_its_own("rome", options, remaining=5.0)["failed"]
    monkeypatch.setattr(subprocess, "run", endless)
    assert suite.in_process_of_its_own("rome", options, remaining=500.0)["failed"].startswith("not done in")


def test_all_parts_together_have_less_than_nine_minutes() -> None:
    assert suite.TOTAL_SECONDS < 540
    assert all(10 <= seconds <= 100 for seconds in suite.PARTS.values())
