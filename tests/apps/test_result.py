"""`python -m apps.result` prints the last run's table, or says how to get one."""

import json
from pathlib import Path

import pytest

from apps import result


def test_it_prints_the_table_and_where_the_report_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(result, "ROOT", tmp_path)
    names = ("score", "efficacy", "generalization", "locality")
    values = {"n": 78, **{f"{name}{end}": 12.5 for name in names for end in ("", "_ci95")}}
    values |= {"exact_match": 95.0, "exact_match_paraphrases": 75.0, "unchanged": 85.0}
    before = {name: 12.5 for name in values if name not in ("n", "unchanged")}
    (tmp_path / "metrics").mkdir()
    (tmp_path / result.EVALUATE).write_text(json.dumps({**values, "before": before}))
    result.main()
    printed = capsys.readouterr().out
    assert f"exact match              {'12.50':>15}{'95.00':>15}" in printed
    assert f"unchanged                {'':>15}{'85.00':>15}" in printed
    assert f"efficacy                 {'12.50':>15}{'12.50 ± 12.50':>15}" in printed
    assert "report: report/index.html" in printed


def test_without_a_run_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"metrics/evaluate\.json is absent; `make run`"):
        result.main()
