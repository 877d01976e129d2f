"""Stage `score` of single edits: each has its figures of the weights, and what a kill left is not made again."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.files import read_json, write_json
from lib.core.records import Score
from lib.core.root import read_root
from lib.core.tables import read
from lib.edits.weight_change import Measure
from lib.protocols import scored_alone
from lib.protocols.files import Inputs
from lib.protocols.inputs import editing
from lib.protocols.single import single
from lib.runtime.distributed import Distributed
from stages import baseline, edit, score
from tests.helpers import small
from tests.helpers.stages import change_params, run_main

TABLES = ("scores", "generations", "divergences", "text_nll")
Run = Callable[..., list[dict[str, str]]]


@pytest.fixture
def run_single(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Edit and score small.REQUESTS one by one; the rows of single_weights.csv."""
    paths = small.inputs(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    edited = {name: path for name, path in paths.items() if name != "evaluation"} | {
        name: tmp_path / name for name in ("edit", "curve", "weights", "maps", "metrics", "results")
    }
    before = {name.replace("_", "-"): tmp_path / f"before/{name}.parquet" for name in TABLES if name != "divergences"}
    before["states"] = tmp_path / "before/states.safetensors"
    unedited = {name: paths[name] for name in ("requests", "evaluation", "text", "model")}
    after = {name.replace("_", "-"): tmp_path / f"{name}.parquet" for name in TABLES}
    scored = paths | {f"{name}-before": path for name, path in before.items()} | after
    scored |= {"edit": tmp_path / "edit", "single-weights": tmp_path / "single_weights.csv"}

    def run_single(**weights: Any) -> list[dict[str, str]]:
        texts = {"greedy": {"tokens": 2, "limit": 0}, "generations": {"tokens": 8, "top_k": 2, "seed": 0, "limit": 0}}
        protocol = {"kind": "single", "together": 2}
        change_params(monkeypatch, editor="ft", protocol=protocol, score=texts, weights=weights)
        run_main(edit, edited)
        run_main(baseline, unedited | before | {"metrics": tmp_path / "metrics.json"})
        usage = run_main(score, scored | {"metrics": tmp_path / "metrics.json"})
        write_json(tmp_path / "usage.json", usage or {})
        with (tmp_path / "single_weights.csv").open(newline="") as stream:
            return list(csv.DictReader(stream))

    return run_single


def test_every_single_edit_has_a_row_with_what_it_alone_changes(run_single: Run, tmp_path: Path) -> None:
    rows = run_single(single_edits=None)
    assert [row["request_id"] for row in rows] == [request.request_id for request in small.REQUESTS]
    inputs = {name: path for name, path in small.inputs(tmp_path).items() if name != "evaluation"}
    with editing(read_root(), Inputs(**inputs), "test", Distributed(), lambda steps: None) as (job, requests):
        measure = Measure(model=job.model, thresholds=(0.077, 0.171), rank_side=100)
        totals = [measure.of(alone).total for _, alone in single(job, requests, 1)]
    assert len({row["manhattan"] for row in rows}) == len(rows)
    for row, total in zip(rows, totals, strict=True):
        assert float(row["manhattan"]) == pytest.approx(total.manhattan, rel=1e-3)
        assert float(row["share_above_0.077"]) == pytest.approx(total.share_above["0.077"], rel=1e-2)


def test_so_many_edits_as_are_asked_for_are_measured(run_single: Run, tmp_path: Path) -> None:
    assert [row["request_id"] for row in run_single(single_edits=2)] == ["e0", "e1"]
    assert run_single(single_edits=0) == []
    assert len({row.request_id for row in read(tmp_path / "scores.parquet", Score) if row.when == "after"}) == 4


def test_a_run_that_was_killed_makes_the_other_edits_and_leaves_the_same_tables(
    run_single: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored_alone, "_timed", lambda edits: ((edit, 1.5) for edit in edits))
    uninterrupted = run_single()
    scores = read(tmp_path / "scores.parquet", Score)
    store = scored_alone.ScoredAlone._store
    scored: list[int] = []

    def killed(self: Any, index: int, result: Any) -> None:
        if index == 3 and not scored:  # the second of a group whose edits share passes
            raise KeyboardInterrupt
        store(self, index, result)

    monkeypatch.setattr(scored_alone.ScoredAlone, "_store", killed)
    with pytest.raises(KeyboardInterrupt):
        run_single()

    def counted(self: Any, index: int, result: Any) -> None:
        scored.append(index)
        store(self, index, result)

    monkeypatch.setattr(scored_alone.ScoredAlone, "_store", counted)
    assert run_single() == uninterrupted
    assert scored == [2, 3]
    assert read_json(tmp_path / "usage.json")["editing_seconds"] == 6.0  # of all four, two found, two made again
    assert read(tmp_path / "scores.parquet", Score) == scores
