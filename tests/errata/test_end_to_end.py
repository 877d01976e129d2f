"""`errata fix` to the end, then facts added, verified and taken back: a small trained model, minutes."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from errata.command import app
from errata.frame import NO
from lib.core.cache import cache_folder
from lib.core.params import ROOT
from lib.edits.edited_facts import EDITED_FACTS
from lib.experiments.repository import git
from lib.handover.bundle import Bundle
from lib.models.manifest import read_manifest
from tests.helpers.models import GOLDEN

SETTINGS = (
    "neighbors.kind=none", "own.pool=none", "abilities.tasks=[perplexity]", "abilities.limit=4", "train.epochs=30",
    "train.lr=0.01", "score.generations.limit=1", "score.plain_texts.limit=4", "para.method=rules",
    "configs/models/folder.yaml:dtype=float32",
)  # fmt: skip


def done(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code in (0, NO), (result.output, result.exception)
    values: dict[str, Any] = json.loads(result.stdout)
    return values


@pytest.mark.dag
@pytest.mark.slow
def test_facts_are_fixed_added_verified_and_taken_back_and_the_repository_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoders = cache_folder() / "encoders"  # this machine's, which stage `encoder` in DVC's cache may stand for
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    encoders.mkdir(parents=True, exist_ok=True)
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / "encoders").symlink_to(encoders)
    before = git(ROOT, "status", "--porcelain"), git(ROOT, "for-each-ref", "refs/exps")
    model, to = str(GOLDEN / "models" / "llama"), str(tmp_path / "corrected")
    facts, more = tmp_path / "facts.csv", tmp_path / "more.csv"
    facts.write_text("subject,prompt,target_new\nAda,Ada was born in,Rome\nBen,Ben was born in,Oslo\n,Too few\n")
    more.write_text("subject,prompt,target_new\nCy,Cy was born in,Bonn\n")
    settings = [part for setting in SETTINGS for part in ("-S", setting)]
    result = done("fix", str(facts), "--model", model, "--to", to, *settings)
    assert len(result["rejects"]) == 1
    assert result["headline"]["n"] == 2
    assert [Path(result[name]).exists() for name in ("adapter", "page", "card")] == [True] * 3
    bundle = Bundle(folder=Path(to))
    adapter = (bundle.folder / "adapter_model.safetensors").read_bytes()
    rows = [json.loads(line) for line in bundle.facts.read_text().splitlines()]
    assert all(row["target_true"] for row in rows)
    assert done("verify", to)["equal"]
    added = done("add", str(more), "--edit", to)
    assert added["headline"]["n"] == 3
    assert [len(session) for session in bundle.info().sessions] == [2, 1]
    assert EDITED_FACTS in read_manifest(bundle.workspace / "models" / "base")["files"]  # so that a change is seen
    assert done("verify", to)["equal"]
    done("undo", to)
    assert (bundle.folder / "adapter_model.safetensors").read_bytes() == adapter
    assert done("reproduce", to)["same_weights"]
    assert (git(ROOT, "status", "--porcelain"), git(ROOT, "for-each-ref", "refs/exps")) == before
