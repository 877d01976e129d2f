"""`dvc repro` in a workspace: its log, its lines, and the message of a stage that fails."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from apps.pipeline import plain_line, repro, table
from lib.core.errors import InputError
from lib.handover.stages import PipelineState

DAG = """\
stages:
  facts:
    cmd: python facts.py
    deps: [facts.py]
    outs: [facts.txt]
  edit:
    cmd: python edit.py
    deps: [facts.txt, edit.py]
    outs: [edit.txt]
"""


def workspace(folder: Path, code: str) -> Path:
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (folder / "dvc.yaml").write_text(DAG)
    (folder / "facts.py").write_text("print('facts: rows: 5 of 10')\nopen('facts.txt', 'w').write('x')\n")
    (folder / "edit.py").write_text(code)
    return folder


def log_console() -> Console:
    return Console(file=io.StringIO(), width=100, record=True)


def test_every_stage_is_told_and_a_second_run_runs_nothing(tmp_path: Path) -> None:
    folder = workspace(tmp_path, "open('edit.txt', 'w').write('y')\n")
    console = log_console()
    state = repro(folder, {"facts": 3.0, "edit": 4.0}, console, target="edit")
    assert [stage.state for stage in state.stages.values()] == ["done", "done"]
    printed = console.export_text()
    assert "facts: begins, about 3 s; 7 s of all left" in printed
    assert "edit: done" in printed
    assert "Running stage 'edit'" in (folder / "errata.log").read_text()
    second_console = log_console()
    state = repro(folder, {}, second_console, target="edit")
    assert [stage.state for stage in state.stages.values()] == ["unchanged", "unchanged"]
    assert "edit: taken from an earlier run" in second_console.export_text()


def test_a_stage_that_fails_ends_the_run_with_its_own_message(tmp_path: Path) -> None:
    folder = workspace(tmp_path, "raise SystemExit('error: facts.csv: no row can be used\\n  line 2')\n")
    with pytest.raises(InputError, match=r"^facts.csv: no row can be used\n  line 2\nEverything"):
        repro(folder, {}, log_console(), target="edit")


def test_lines_and_table_say_what_runs_how_far_it_is_and_what_is_left() -> None:
    state = PipelineState.of(("facts", "edit"), {"facts": 5.0, "edit": 40.0})
    state.read("Running stage 'edit':", 10.0)
    state.read("edit: editing: 30 of 120", 20.0)
    edit = state.stages["edit"]
    assert plain_line(edit, state, 20.0) == "edit: 10 s, editing 25% (30 s); about 30 s left"
    assert (
        plain_line(edit, state, 70.0)
        == "edit: 60 s, editing 25% (3 min), longer than the 40 s that were estimated; about 3 min left"
    )
    console = log_console()
    console.print(table(state, 20.0))
    assert "editing 25%" in console.export_text()


def test_two_stages_that_run_side_by_side_are_both_told() -> None:
    state = PipelineState.of(("edit", "baseline"), {"edit": 40.0, "baseline": 30.0})
    state.read("Running stage 'edit':", 10.0)
    state.read("Running stage 'baseline':", 10.0, "side")
    console = log_console()
    console.print(table(state, 20.0))
    rows = [line.split() for line in console.export_text().splitlines()]
    assert [row for row in rows if row[0] == ">"] == [
        [">", "edit", "10", "s", "30", "s"],
        [">", "baseline", "10", "s", "20", "s"],
    ]
    assert rows[-1] == ["left,", "about:", "30", "s"]
    (baseline,) = state.finish(False, 25.0, "side")
    assert plain_line(baseline, state, 25.0) == "baseline: failed beside another stage, and runs once more after it"
