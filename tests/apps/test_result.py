"""`python -m apps.result` prints the last run's table, or says how to get one."""

import json
from pathlib import Path

import pytest

from apps import result
from tests.helpers.pages import numbers


def test_it_prints_the_table_and_where_the_report_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(result, "ROOT", tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / result.EVALUATE).write_text(json.dumps(numbers(exact_match=50.0)))
    result.main()
    printed = capsys.readouterr().out
    assert printed.startswith("verdict: did not take\n")
    assert "exact match                                5.0       50.0 ± 2.5       4" in printed
    assert "report: report/index.html" in printed


def test_without_a_run_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"metrics/evaluate\.json is absent; `make run`"):
        result.main()
