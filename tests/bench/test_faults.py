"""The frame of `make faults`: a part runs once, its result is kept, and the page says what it found."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench import faults
from bench.faults.__main__ import main, measured
from bench.faults.page import page

TRIVIAL = "trivial"
FAULT = "stage edit: left half a file"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A part that finds one fault, in place of all others; what it has measured."""
    measurements: list[str] = []

    def case() -> int:
        measurements.append("case")
        return 3

    def measure(trial: faults.Trial) -> faults.Findings:
        count = trial.once("case", case)
        if len(measurements) == 1 and trial.scale == "full" and not (trial.folder / "stopped").exists():
            (trial.folder / "stopped").touch()
            raise KeyboardInterrupt
        row = ("edit | score", str(count))
        return faults.Findings(title="Trivial", text="A text.", columns=("stage", "kills"), rows=(row,),
                               faults=(FAULT,), unreached=("Nothing else.",))  # fmt: skip

    module = ModuleType(f"bench.faults.{TRIVIAL}")
    module.measure = measure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(faults, "PARTS", (TRIVIAL, "absent"))
    return measurements


def test_the_page_has_what_a_part_found_and_names_a_part_that_was_not_run(calls: list[str], tmp_path: Path) -> None:
    measured(TRIVIAL, "small", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"trivial.json"}, "what the part worked with is gone"
    with pytest.raises(SystemExit, match="1"):  # a fault
        main(["--only", TRIVIAL, "--scale", "small", "--out", str(tmp_path / "page.md")], tmp_path)
    text = (tmp_path / "page.md").read_text()
    with pytest.raises(SystemExit, match="0"):  # no part, and the page alone
        main(["--only", "--out", str(tmp_path / "same.md")], tmp_path)
    assert (tmp_path / "same.md").read_text() == text
    assert "| edit \\| score | 3 |" in text
    assert f"- {FAULT}\n" in text
    assert "- Nothing else.\n" in text
    assert "| absent | not run |" in text
    assert calls == ["case"], "what this version of the code has found is not looked for again"


def test_a_part_that_was_stopped_goes_on_with_its_cases(calls: list[str], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        measured(TRIVIAL, "full", tmp_path)
    measured(TRIVIAL, "full", tmp_path)
    assert calls == ["case"]


def findings_of(*rows: tuple[str, ...], total: str = "", faults_of_rows: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a part with three rows in its order says of some, each run at a commit."""
    return {"title": "Kills", "text": "A text.", "columns": ["settings", "stage", "kills", "commit"], "key": 2,
            "rows": rows, "order": [("lora", "facts"), ("lora", "edit"), ("memit", "edit")], "total": total,
            "faults": faults_of_rows, "unreached": ["Power."]}  # fmt: skip


def page_of(findings: dict[str, Any], earlier: str = "") -> str:
    about = {"scale": "full", "commit": "b2", "date": "2026-01-02", "seconds": 1.0, "versions": {"torch": "2"},
             "hardware": {"processor": "x", "cores": "1", "memory": "1 GiB", "GPU": "none"}}  # fmt: skip
    return page({"kills": {"findings": findings, "about": about}}, earlier)


def test_a_page_keeps_rows_and_faults_that_were_not_run_again_and_the_rest_takes_their_place() -> None:
    before = page_of(findings_of(("lora", "edit", "7/7 | 1", "a1"), ("lora", "facts", "6/7", "a1"), total="together",
                                 faults_of_rows=("lora, edit, SIGINT: x", "lora, facts, SIGINT: y")))  # fmt: skip
    after = page_of(
        findings_of(("memit", "edit", "5", "b2"), ("lora", "facts", "2,000", "b2"), total="together"), before
    )
    table = [line for line in after.splitlines() if line.startswith(("| lora", "| memit", "| together"))]
    assert table == [
        "| lora | facts | 2,000 | b2 |",
        "| lora | edit | 7/7 \\| 1 | a1 |",
        "| memit | edit | 5 | b2 |",
        "| together |  |  |  |",
    ]
    assert "- lora, edit, SIGINT: x\n" in after
    assert "SIGINT: y" not in after
    assert "Not run: memit, edit." in before
    assert "Not run" not in after
    assert "| kills | full | 1 | 1 | of each row | 2026-01-02 | 1 |" in after


def test_the_last_row_is_the_sum_of_all_rows_the_kept_ones_too() -> None:
    before = page_of(findings_of(("lora", "edit", "2,000", "a1"), total="together"))
    after = page_of(findings_of(("lora", "facts", "7, mended", "b2"), total="together"), before)
    assert "| together |  | 2,007 |  |" in after


def test_a_part_that_was_not_run_stays_as_it_was() -> None:
    before = page_of(findings_of(("lora", "edit", "7/7", "a1")))
    assert page({"kills": None}, before) == before


def test_rows_of_a_table_with_other_columns_do_not_stay() -> None:
    before = page_of(findings_of(("lora", "edit", "7/7", "a1")).copy() | {"columns": ["a", "b", "c", "commit"]})
    assert "7/7" not in page_of(findings_of(("lora", "facts", "1/1", "b2")), before)
