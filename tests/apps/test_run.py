"""`python -m apps.run`: the pipeline in the repository itself, then the result."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from apps import result, run
from lib.core.errors import InputError
from lib.handover import bases
from tests.helpers.pages import numbers


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which a run has ended."""
    for module in (run, result):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "metrics" / "usage").mkdir(parents=True)
    (tmp_path / "report").mkdir()
    (tmp_path / result.EVALUATE).write_text(json.dumps(numbers(exact_match=50.0)))
    (tmp_path / "metrics" / "usage" / "edit.json").write_text('{"seconds": 7.5}')
    (tmp_path / "report" / "usage.json").write_text('{"seconds": 1.5}')
    return tmp_path


@pytest.mark.parametrize("arguments", [[], ["--one-by-one"]])
def test_the_pipeline_runs_with_the_last_runs_times_and_then_the_result_is_printed(
    arguments: list[str], root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(run, "repro", lambda *positional, **named: calls.append((positional[:2], named)))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    run.main()
    options = {"one_by_one": bool(arguments), "log": ".scratch/errata.log"}
    assert calls == [((root, {"edit": 7.5, "report": 1.5}), options)]
    assert capsys.readouterr().out.startswith("verdict: did not take\n")


def test_a_first_run_whose_model_cannot_be_fetched_has_no_estimates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def base_of(model: bases.NamedModel) -> Path:
        raise InputError(f"{model.name}: no network")

    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(bases, "base_of", base_of)
    assert run.estimates(Console(file=io.StringIO())) == {}
    assert run.first_estimates("tiny", 30, Console(file=io.StringIO())) == {}
