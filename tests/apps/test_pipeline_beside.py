"""Stages side by side: the same outputs as one after another, what fails, and what an interrupted run leaves."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from apps.pipeline import repro
from bench.faults.dvc_kills import survivors
from lib.core.errors import InputError
from lib.handover import beside
from lib.handover.processes import Processes
from tests.helpers.imports import ROOT
from tests.helpers.pipelines import DEPS, notes, pipeline_in
from tests.helpers.repositories import PYTHON_FIRST, dvc

pytestmark = pytest.mark.slow
LINGER = 20
"""Seconds after which no process of an interrupted run may be left."""
TOGETHER = {"edit": "baseline-began", "score": "abilities-began"}
"""Neither ends before the stage beside it has begun."""


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", PYTHON_FIRST)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(beside, "has_cores_for_two", lambda: True)
    monkeypatch.setattr(beside, "has_memory_for_two", lambda workspace: True)


def log_console() -> Console:
    return Console(file=io.StringIO(), width=100, record=True)


def outputs(folder: Path) -> Mapping[str, str]:
    return {path.name: path.read_text() for path in (folder / "out").iterdir()}


def locked(folder: Path) -> object:
    return YAML(typ="safe").load(folder / "dvc.lock")


def test_side_by_side_the_outputs_are_those_of_one_after_another(tmp_path: Path) -> None:
    folder = pipeline_in(tmp_path / "beside", TOGETHER)
    console = log_console()
    state = repro(folder, dict.fromkeys(DEPS, 3.0), console)
    assert {stage.state for stage in state.stages.values()} == {"done"}
    for main, side in (("edit", "baseline"), ("score", "abilities")):
        assert notes(folder, side)["threads"] == notes(folder, main)["threads"] == "2"  # the last bits depend on it
    printed = console.export_text()
    assert printed.count("begins, about 3 s") == len(DEPS)
    assert "earlier run" not in printed
    log = (folder / "errata.log").read_text()
    assert all(f"Running stage '{name}'" in log for name in DEPS)
    serial = pipeline_in(tmp_path / "serial")
    dvc(serial, "repro")
    assert outputs(folder) == outputs(serial)
    assert locked(folder) == locked(serial)
    assert "Running stage" not in dvc(folder, "repro")


def test_with_everything_there_nothing_runs_and_every_stage_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Processes.start
    folder = pipeline_in(tmp_path)
    dvc(folder, "repro")
    console = log_console()
    started: list[str] = []

    def watched(self: Processes, stream: str, arguments: Sequence[str]) -> None:
        started.append(arguments[-1])
        start(self, stream, arguments)

    monkeypatch.setattr(Processes, "start", watched)
    state = repro(folder, {}, console)
    assert started == ["frequencies", "report"]
    assert {stage.state for stage in state.stages.values()} == {"unchanged"}
    assert console.export_text().count("taken from an earlier run") == len(DEPS)


def test_a_stage_that_fails_beside_another_runs_once_more_and_its_message_is_the_runs(tmp_path: Path) -> None:
    folder = pipeline_in(tmp_path, {"edit": "baseline-began"}, {"baseline": "no texts"})
    console = log_console()
    with pytest.raises(InputError, match=r"^baseline: no texts\nEverything"):
        repro(folder, {}, console)
    assert "baseline: failed beside another stage, and runs once more after it" in console.export_text()
    assert (folder / "errata.log").read_text().count("error: baseline: no texts") == 2
    assert notes(folder, "edit")
    assert not (folder / "notes" / "score-began").exists()


def test_what_failed_only_beside_another_does_no_harm(tmp_path: Path) -> None:
    folder = pipeline_in(tmp_path, {"edit": "baseline-began"})
    stage = (folder / "stage.py").read_text()
    late = 'if name == "baseline" and not (notes / "edit.json").exists(): raise SystemExit("error: early")'
    (folder / "stage.py").write_text(
        stage.replace('    pathlib.Path("out").mkdir', f'    {late}\n    pathlib.Path("out").mkdir')
    )
    state = repro(folder, {}, log_console())
    assert {stage.state for stage in state.stages.values()} == {"done"}
    assert notes(folder, "baseline")["threads"] == "2"


def test_a_failure_of_the_main_stage_ends_the_one_beside_it(tmp_path: Path) -> None:
    rules = {"edit": "baseline-began", "baseline": "never"}
    folder = pipeline_in(tmp_path, rules, {"edit": "no fact can be trained"})
    with pytest.raises(InputError, match=r"^edit: no fact can be trained\nEverything"):
        repro(folder, {}, log_console())
    assert not (folder / "out" / "baseline").exists()


def test_one_by_one_no_stage_begins_before_the_one_before_it_has_ended(tmp_path: Path) -> None:
    folder = pipeline_in(tmp_path)
    repro(folder, {}, log_console(), one_by_one=True)
    spans = sorted((notes(folder, name)["began"], notes(folder, name)["ended"]) for name in DEPS)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(spans))
    assert {notes(folder, name)["threads"] for name in DEPS} == {"2"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHELL", raising=False)  # what /bin/sh may be does not become the stage, as bash does
    folder = pipeline_in(tmp_path, {"edit": "never", "baseline": "never"})
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.pipelines", str(folder)], cwd=ROOT, start_new_session=True,
        stdout=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    until = time.monotonic() + 120
    while not all((folder / "notes" / f"{name}-began").exists() for name in ("edit", "baseline")):
        assert run.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # as a terminal does
    else:
        run.send_signal(number)
    assert run.wait(LINGER) != 0
    assert survivors(run.pid, LINGER) == []
