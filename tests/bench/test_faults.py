"""The frame of `make faults`: a part runs once, its result is kept, and the page says what it found."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench import faults
from bench.faults.__main__ import main, measured

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
