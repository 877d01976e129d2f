"""Stages `evaluate` and `report` where edits imply questions: a section of the metrics, and a table on the page."""

from pathlib import Path

import pytest

from lib.core.implied import ImpliedQuestion
from tests.stages.test_evaluate import KINDS, Project, by_success, request, scores

__all__ = ["by_success"]
IMPLIED = (ImpliedQuestion(kind="two_hops", prompt="Who paints it?", answers=("Bo",)),)


def test_metrics_and_page_have_what_the_edits_imply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [request(0, implied=IMPLIED), request(1, implied=IMPLIED), request(2, implied=IMPLIED)]
    project = Project(tmp_path, edits, scores(edits, {"edit 0", "edit 1"}, {**KINDS, "implied": 1}), None)
    metrics = project.evaluate(monkeypatch)
    assert metrics["portability"] == {
        "two_hops": {"teacher_forced": {"n": 3, "questions": 3, "before": 0.0, "after": 33.3333, "ci95": 26.6722}}
    }  # half of the tokens of two of three: 1.96 * sqrt(2/9) * 50 / sqrt(3)
    assert "locality_related" not in metrics
    assert project.details()["numbers"] == metrics
    assert "What the edits imply" in project.report(monkeypatch)


def test_without_questions_no_section_stands_in_the_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [request(number) for number in range(2)]
    project = Project(tmp_path, edits, scores(edits, {"edit 0"}, KINDS), None)
    assert not {"portability", "locality_related"} & {*project.evaluate(monkeypatch)}
    assert "What the edits imply" not in project.report(monkeypatch)
