"""Stage `hypernet` trains for the editors that need it, from facts that no edit is scored on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.records import Fact, Request
from lib.core.tables import write
from lib.models import loading
from lib.neighbors import overlap
from stages import hypernet as stage
from tests.helpers.baselines import REQUESTS
from tests.helpers.hypernets import EDITORS, POOL, quick
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.stages import change_params, run_main

Run = Callable[[str], dict[str, Any]]
LEAK = Fact(fact_id="leak", subject="Ada", relation="home", prompt="Ada lives in", target="Rome")

LENGTHS = {"mend": {"steps": 4}, "ke": {"steps": 4}, "rledit": {"streams": 4}}


@pytest.fixture
def run_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run_stage(name: str) -> dict[str, Any]:
        settings = quick(name, **LENGTHS[name]) if name in EDITORS else None
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        change_params(monkeypatch, editor=name)
        monkeypatch.setattr(stage, "editor_preset", lambda name, shape, kind: settings)
        monkeypatch.setattr(loading, "load_model", lambda folder, where, dtype: tiny_model("llama"))
        monkeypatch.setattr(loading, "load_tokenizer", lambda folder: byte_tokenizer())
        paths = {option: tmp_path / option for option in ("requests", "pool", "model", "hypernet", "metrics")}
        paths["model"].mkdir(exist_ok=True)
        write(paths["requests"], Request, REQUESTS)
        write(paths["pool"], Fact, [*POOL, LEAK])
        run_main(stage, paths)
        metrics: dict[str, Any] = json.loads(paths["metrics"].read_text())
        return metrics

    return run_stage


def test_an_editor_without_a_network_gets_a_marker_and_no_model_is_loaded(
    run_stage: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "usable_facts", lambda *_: pytest.fail("reads the pool"))
    assert run_stage("lora") == {"steps": 0}
    assert [path.name for path in (tmp_path / "hypernet").iterdir()] == ["hypernet.json"]
    marker = (tmp_path / "hypernet/hypernet.json").read_bytes()
    run_stage("ft")
    assert (tmp_path / "hypernet/hypernet.json").read_bytes() == marker


@pytest.mark.parametrize("name", EDITORS)
def test_a_network_is_trained_without_the_facts_that_an_edit_is_scored_on(
    name: str, run_stage: Run, tmp_path: Path
) -> None:
    metrics = run_stage(name)
    assert (metrics["facts"], metrics["dropped_facts"], metrics["steps"]) == (len(POOL), 1, 4)
    assert metrics["validation_loss"] > 0
    first = (tmp_path / "hypernet/hypernet.safetensors").read_bytes()
    about = json.loads((tmp_path / "hypernet/hypernet.json").read_text())
    assert (about["editor"], len(about["modules"])) == (name, 1 if name == "rledit" else 4)
    assert not list((tmp_path / ".scratch/hypernet").glob("*/*")), "checkpoints of finished work are dropped"
    run_stage(name)
    assert (tmp_path / "hypernet/hypernet.safetensors").read_bytes() == first
