"""Stage `neighbors` writes as many usable neighbors as asked for, and says what it dropped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.records import Fact, Request, UneditedFact
from lib.core.tables import read, write
from stages import neighbors as stage
from tests.helpers.stages import change_params, run_main

Run = Callable[..., tuple[list[UneditedFact], dict[str, Any]]]


@pytest.fixture
def run_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run_stage(facts: list[Fact], **changed: object) -> tuple[list[UneditedFact], dict[str, Any]]:
        settings = {"kind": "random", "n": 2, "encoder": "hashing", "index": "Flat", "seed": 0, **changed}
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        change_params(monkeypatch, neighbors=settings)
        paths = {name: tmp_path / "out" / name for name in ("requests", "pool", "neighbors", "metrics")}
        write(paths["requests"], Request, [_request("1", "Ada King"), _request("2", "Bo Li")])
        write(paths["pool"], Fact, facts)
        run_main(stage, paths)
        return read(paths["neighbors"], UneditedFact), json.loads(paths["metrics"].read_text())

    return run_stage


@pytest.mark.parametrize("kind", ["random", "similar"])
def test_what_an_edit_is_scored_on_is_no_neighbor_of_any_edit(kind: str, run_stage: Run) -> None:
    safe = [_fact(name) for name in ("Cy Fox", "Di Ray", "Eve Low")]
    leaks = [_fact("Ada King", target="Rome"), _fact("Bo Li"), _fact("Bo Li", prompt="His town was", target="Bonn")]
    neighbors, metrics = run_stage([*leaks, *safe], kind=kind)
    assert [(neighbor.request_id, neighbor.rank) for neighbor in neighbors] == [("1", 0), ("1", 1), ("2", 0), ("2", 1)]
    assert {neighbor.fact_id for neighbor in neighbors} <= {fact.fact_id for fact in safe}
    assert metrics.get("encoder") == ("hashing" if kind == "similar" else None)
    counts = {name: value for name, value in metrics.items() if name not in ("mean_similarity", "encoder")}
    assert counts == {
        "pool": 6,
        "kept": 3,
        "dropped_triple": 1,
        "dropped_prompt": 1,
        "dropped_contradiction": 1,
        "neighbors": 4,
        "shortfall": 0,
    }


def test_only_similar_neighbors_have_a_similarity(run_stage: Run) -> None:
    facts = [_fact(name) for name in ("Cy Fox", "Di Ray", "Eve Low")]
    neighbors, metrics = run_stage(facts, kind="random")
    assert {neighbor.similarity for neighbor in neighbors} == {None}
    assert "mean_similarity" not in metrics
    neighbors, metrics = run_stage(facts, kind="similar")
    assert all(neighbor.similarity is not None and 0 < neighbor.similarity < 1 for neighbor in neighbors)
    assert 0 < metrics["mean_similarity"] < 1


@pytest.mark.parametrize("kind", ["random", "similar"])
def test_the_same_parameters_write_the_same_bytes(kind: str, run_stage: Run, tmp_path: Path) -> None:
    facts = [_fact(f"Cy Fox {number}") for number in range(50)]
    written = []
    for _ in range(2):
        run_stage(facts, kind=kind)
        written.append([(tmp_path / "out" / name).read_bytes() for name in ("neighbors", "metrics")])
    assert written[0] == written[1]


def test_a_small_pool_is_counted_as_a_shortfall(run_stage: Run) -> None:
    neighbors, metrics = run_stage([_fact("Cy Fox")], n=3)
    assert len(neighbors) == metrics["neighbors"] == 2
    assert metrics["shortfall"] == 4


def test_a_pool_of_which_nothing_is_left_is_refused(run_stage: Run) -> None:
    """The row "+ Rand" never trains without its R."""
    message = r"neighbors\.kind=random: wanted 2 unedited facts .*; found none: of 1 facts in the pool none is left"
    with pytest.raises(ValueError, match=message):
        run_stage([_fact("Ada King", target="Rome")])
    with pytest.raises(ValueError, match="found none: of 0 facts"):
        run_stage([], kind="similar")
    assert run_stage([], n=0)[0] == []


def test_without_neighbors_the_table_is_empty_and_no_fact_is_compared(
    run_stage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(stage, "without_overlap")
    neighbors, metrics = run_stage([_fact("Cy Fox")], kind="none")
    assert neighbors == []
    assert metrics == {"neighbors": 0, "shortfall": 0}


def _request(request_id: str, subject: str) -> Request:
    return Request(
        request_id=request_id,
        dataset="test",
        subject=subject,
        relation="birthplace",
        prompt=f"{subject} was born in",
        template="{} was born in",
        target_new="Rome",
        target_true="London",
    )


def _fact(subject: str, prompt: str | None = None, target: str = "Oslo") -> Fact:
    return Fact(
        fact_id=f"{subject}/{target}",
        subject=subject,
        relation="birthplace",
        prompt=prompt or f"{subject} was born in",
        target=target,
    )
