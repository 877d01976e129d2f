"""Stage `knowledge`: the pool of own facts is asked for once a model, whatever the facts are."""

from pathlib import Path

import pytest

from lib.core.files import read_json
from lib.core.records import Fact, RecalledFact
from lib.core.tables import read, write
from stages import knowledge as stage
from tests.helpers import small
from tests.helpers.stages import run_main

POOL = [Fact(fact_id=str(n), subject=f"P{n}", relation="r", prompt=f"P{n} is", target="x") for n in range(3)]


def run(folder: Path, pool: list[Fact]) -> list[RecalledFact]:
    model = small.inputs(folder)["model"]
    write(folder / "shared.parquet", Fact, pool)
    files = {"shared-pool": folder / "shared.parquet", "knowledge": folder / "knowledge.parquet"}
    run_main(stage, files | {"model": model, "metrics": folder / "metrics.json"})
    return read(folder / "knowledge.parquet", RecalledFact)


def test_every_fact_of_the_pool_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lib.scoring.recall.recalled", lambda model, tokenizer, pairs, *_: [p == "P1 is" for p, _ in pairs]
    )
    answers = run(tmp_path, POOL)
    assert [(fact.prompt, fact.is_known) for fact in answers] == [("P0 is", False), ("P1 is", True), ("P2 is", False)]
    assert read_json(tmp_path / "metrics.json") == {"asked": 3, "known": 33.33}


def test_without_a_shared_pool_no_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.models.loading.load_model", lambda *_: pytest.fail("a model was loaded"))
    assert run(tmp_path, []) == []
