"""Stage `facts` as DVC runs it: tables and counts on success, one clear message and the rejects on failure."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lib.core.records import Fact, Reject, Request, Text
from lib.core.tables import read
from tests.helpers.stages import SMALL

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = {
    "requests": "requests.parquet",
    "pool": "pool.parquet",
    "text": "text.parquet",
    "rejects": "rejects.parquet",
    "sources": "sources.json",
    "metrics": "metrics.json",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the stage runs from, so that its params can be changed."""
    for name in ("lib", "stages", "configs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    yaml = YAML()
    yaml.dump(yaml.load(ROOT / "params.yaml") | SMALL, tmp_path / "params.yaml")
    return tmp_path


def change(path: Path, *keys: str, to: Any) -> None:
    """Set one value in a YAML file."""
    yaml = YAML()
    values = inner = yaml.load(path)
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    yaml.dump(values, path)


def run(project: Path) -> subprocess.CompletedProcess[str]:
    outputs = [part for name, file in OUTPUTS.items() for part in (f"--{name}", f"out/{file}")]
    outputs += ["--usage", "out/usage.json"]
    return subprocess.run(
        [sys.executable, "-m", "stages.facts", *outputs],
        cwd=project,
        env={**os.environ, "ERRATA_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_loads_no_library_of_models(project: Path) -> None:
    """The fault: to look at the editor's preset it loaded torch, transformers and peft, eight of its nine seconds."""
    options = [part for name, file in OUTPUTS.items() for part in (f"--{name}", f"out/{file}")]
    script = (
        f"import runpy, sys; sys.argv = ['stages.facts', *{options!r}, '--usage', 'out/usage.json']\n"
        "try: runpy.run_module('stages.facts', run_name='__main__')\n"
        "finally: print({*sys.modules} & {'torch', 'transformers', 'peft', 'sklearn'})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "set()"


def test_the_embedded_world_becomes_tables_whose_rows_are_counted_and_a_second_run_writes_the_same_bytes(
    project: Path,
) -> None:
    outputs = [project / "out" / name for name in OUTPUTS.values()]
    done = run(project)
    assert done.returncode == 0
    assert "facts took" in done.stderr  # not "usage", as the file is called here and in stage report
    first = [path.read_bytes() for path in outputs]
    kinds = {"requests": Request, "pool": Fact, "text": Text, "rejects": Reject}
    counted = {name: len(read(project / "out" / OUTPUTS[name], kind)) for name, kind in kinds.items()}
    heldout = sum(text.split == "heldout" for text in read(project / "out/text.parquet", Text))
    assert json.loads((project / "out/metrics.json").read_text()) == {
        **counted, "rows": 0, "text_heldout": heldout, "text_source": "the embedded world's prose",
        "subjects_absent": 0, "same_targets": 0, "contradictions": 0, "duplicates": 0, "subjects_repeated": 0,
    }  # fmt: skip
    assert counted["requests"] > 0
    assert run(project).returncode == 0
    assert [path.read_bytes() for path in outputs] == first


def test_the_users_own_facts_are_read_with_the_hash_of_their_file(project: Path) -> None:
    change(project / "params.yaml", "dataset", to="own")
    assert run(project).returncode == 0
    edits = read(project / "out/requests.parquet", Request)
    assert len(edits) == 10
    content = (project / "examples/own_facts.csv").read_bytes()
    assert json.loads((project / "out/sources.json").read_text()) == {
        "own": {
            "file": "own_facts.csv",
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "notes": [],
        }
    }


def test_too_many_rejects_stop_the_stage_with_a_message_after_the_rejects_are_written(project: Path) -> None:
    change(project / "params.yaml", "dataset", to="own")
    (project / "examples/own_facts.csv").write_text("prompt,target_new\nAda is,Rome\nBo is,\n")
    done = run(project)
    assert done.returncode == 1
    assert "1 of 2 rows rejected (50.0%)" in done.stderr
    assert "Traceback" not in done.stderr
    assert read(project / "out/rejects.parquet", Reject) == [
        Reject(file="own_facts.csv", line=3, field="target_new", reason="empty")
    ]
    assert not (project / "out/requests.parquet").exists()


def test_a_file_that_is_nowhere_is_named_with_the_remedy(project: Path) -> None:
    change(project / "params.yaml", "dataset", to="counterfact")
    change(project / "configs/datasets/counterfact.yaml", "files", "facts", "name", to="nowhere.json")
    done = run(project)
    assert done.returncode == 1
    assert "nowhere.json: absent from examples (facts.folder)" in done.stderr
    assert "ERRATA_OFFLINE=1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_web_page_in_place_of_the_file_is_recognised(project: Path) -> None:
    change(project / "params.yaml", "dataset", to="counterfact")
    (project / "examples/counterfact.json").write_text("<html>Please log in</html>")
    done = run(project)
    assert done.returncode == 1
    assert "'<html>Please log in</html>'" in done.stderr


def test_own_facts_without_a_pool_are_refused_where_neighbors_are_asked_for(project: Path) -> None:
    change(project / "params.yaml", "dataset", to="own")
    change(project / "params.yaml", "own", "pool", to="none")
    refused = run(project)
    assert refused.returncode == 1
    assert (
        "neighbors.kind=similar: wanted 20 unedited facts to train on beside every edit; found none" in refused.stderr
    )
    assert "own.pool=none has no fact. Set own.pool to a dataset" in refused.stderr
    change(project / "params.yaml", "neighbors", "kind", to="none")
    assert run(project).returncode == 0


def test_the_pool_is_the_same_whatever_the_facts_of_ones_own_are(project: Path) -> None:
    change(project / "params.yaml", "dataset", to="own")
    pools = []
    for fact in ("The capital of France is,Rome", "Ada is,Rome"):
        (project / "examples/own_facts.csv").write_text(f"prompt,target_new\n{fact}\n")
        assert run(project).returncode == 0
        pools.append((project / "out/pool.parquet").read_bytes())
    assert pools[0] == pools[1]
