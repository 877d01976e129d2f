"""The GPU suite runs whole at a toy size here, and imports nothing that a bare GPU machine lacks."""

import argparse
import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gpu import __main__ as suite
from tests.helpers.imports import ROOT

ABSENT = {"polars", "pyarrow", "pandas", "dvc", "pydantic", "ruamel", "faiss", "vllm"}


LOADED = """
import importlib, json, pathlib, sys
for path in sorted(pathlib.Path("bench/gpu").glob("*.py")):
    importlib.import_module(f"bench.gpu.{path.stem}")
own = [module for name, module in sys.modules.items() if name.split(".")[0] in ("bench", "lib")]
print(json.dumps([module.__file__ for module in own if getattr(module, "__file__", None)]))
"""


def imported_packages(path: Path) -> set[str]:
    """The first parts of the names that a file imports when it is imported."""
    nodes = ast.parse(path.read_text()).body
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


def test_nothing_is_imported_that_a_bare_machine_lacks() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [Path(file) for file in json.loads(loaded.stdout.splitlines()[-1])]
    assert any("lib/methods" in str(path) for path in files)
    assert {str(path): packages for path in files if (packages := imported_packages(path) & ABSENT)} == {}


@pytest.mark.slow
def test_every_part_runs_at_a_toy_size(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--tiny", "--output", str(output)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
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
