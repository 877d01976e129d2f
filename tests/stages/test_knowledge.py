"""Stage `knowledge`: the facts of the pool that the model is asked for."""

from pathlib import Path

import pytest

from lib.core import params
from lib.core.files import read_json
from lib.core.records import Fact, RecalledFact
from lib.core.tables import read, write
from stages import knowledge as stage
from tests.helpers import small
from tests.helpers.stages import run_main

POOL = [Fact(fact_id=str(n), subject=f"P{n}", relation="r", prompt=f"P{n} is", target="x") for n in range(3)]


def run(folder: Path, filtered: str, monkeypatch: pytest.MonkeyPatch) -> list[RecalledFact]:
    preset = params.preset
    monkeypatch.setattr(
        params, "preset", lambda group, name, kind: preset(group, name, kind).model_copy(update={"known": filtered})
    )
    model = small.inputs(folder)["model"]
    write(folder / "all.parquet", Fact, POOL)
    files = {"pool": folder / "all.parquet", "knowledge": folder / "knowledge.parquet"}
    run_main(stage, files | {"model": model, "metrics": folder / "metrics.json"})
    return read(folder / "knowledge.parquet", RecalledFact)


def test_every_fact_of_the_pool_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lib.scoring.recall.recalled", lambda model, tokenizer, pairs, *_: [prompt == "P1 is" for prompt, _ in pairs]
    )
    answers = run(tmp_path, "pool", monkeypatch)
    assert [(fact.prompt, fact.is_known) for fact in answers] == [("P0 is", False), ("P1 is", True), ("P2 is", False)]
    assert read_json(tmp_path / "metrics.json") == {"asked": 3, "known": 33.33}


def test_where_unknown_facts_stay_no_model_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.scoring.recall.load_model", lambda *_: pytest.fail("a model was loaded"))
    assert run(tmp_path, "none", monkeypatch) == []
