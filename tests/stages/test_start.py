"""How a stage starts: it parses its options before it imports anything that is slow to import."""

import json
import subprocess
import sys

import pytest

from tests.helpers.imports import ROOT

STAGES = sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py"))
SLOW = ("torch", "transformers", "peft", "pandas", "sklearn", "scipy", "faiss", "lm_eval", "datasets",
        "sentence_transformers", "safetensors", "vllm", "ray")  # fmt: skip
IMPORTED = f"""
import importlib, json, sys
imported = {{}}
for name in {STAGES}:
    importlib.import_module(f"stages.{{name}}").parser().format_help()
    imported[name] = [module for module in {SLOW} if sys.modules.pop(module, None)]
print(json.dumps(imported))
"""


def test_a_stage_shows_its_options_without_importing_what_is_slow_to_import() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {stage: [] for stage in STAGES}


@pytest.mark.parametrize("stage", ["facts", "report"])
def test_help_names_the_options(stage: str) -> None:
    command = [sys.executable, "-m", f"stages.{stage}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--usage" in done.stdout
