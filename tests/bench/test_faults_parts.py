"""The parts of `make faults` at their smallest: a real kill, and how they choose their points and compare files."""

import math
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

import pytest

from bench.faults.disks import fillings
from bench.faults.dvc_kills import survivors
from bench.faults.forked import Ended, Stop, forked
from bench.faults.kills import stops_of
from bench.faults.processes import difference
from bench.faults.workspace import Sandbox, differing
from lib.core.files import write_csv, write_json


@pytest.mark.slow
def test_a_stage_that_was_killed_before_it_named_a_file_leaves_the_same_bytes_when_it_has_run_again(
    tmp_path: Path,
) -> None:
    workspace = Sandbox.new(tmp_path / "errata")
    with forked(workspace, tmp_path / "log", warm=False) as stages:
        reference = stages.run("facts", learn=True)
        expected = workspace.files("facts")
        assert (reference.status, reference.hosts) == (0, [])
        assert len(expected) == 6
        workspace.clear("facts")
        killed = stages.run("facts", Stop(number=SIGKILL, change=reference.changes // 2))
        assert killed.status == -SIGKILL
        assert differing(expected, workspace.files("facts")), "some of it is not there yet"
        interrupted = stages.run("facts", Stop(number=SIGINT, change=reference.changes // 2))
        assert (interrupted.status, "Traceback" in interrupted.log) == (130, False)
        assert stages.run("facts").status == 0
        assert differing(expected, workspace.files("facts")) == ""
        assert workspace.unfinished() == set()


def test_kills_come_in_every_part_of_a_run_and_before_its_first_and_last_change() -> None:
    reference = Ended(status=0, seconds=10.0, changes=30, hosts=[], log="")
    *timed, before = stops_of(reference, 20, 10, random.Random(0))
    moments = sorted(stop.seconds for stops in timed for stop in stops if stop.seconds is not None)
    assert [int(2 * moment) for moment in moments] == list(range(20))
    assert [len(stops) for stops in timed] == [7, 7, 6]
    changes = [stop.change for stop in before]
    assert (len(changes), changes[0], changes[-1]) == (10, 1, 30)


def test_a_disk_is_filled_to_the_last_byte_and_to_more_than_is_written() -> None:
    left = fillings(1000, 12, random.Random(0))
    assert (len(left), left[0]) == (12, 0)
    assert left[-1] > 1000


def test_files_differ_by_their_largest_number_and_by_anything_else_without_bound(tmp_path: Path) -> None:
    hashes = ({"a": "1" * 64}, {"a": "2" * 64})  # of files that are compared themselves
    pairs: Sequence[Mapping[str, Any]] = {"a": [1.0, 2.5]}, {"a": [1.0, 2.0]}, {"a": [1.0]}, {"a": ["x", 2.5]}, *hashes
    paths = [tmp_path / f"{number}.json" for number in range(len(pairs))]
    for path, values in zip(paths, pairs, strict=True):
        write_json(path, values)
    assert [difference(paths[0], path) for path in paths[:4]] == [0.0, 0.5, math.inf, math.inf]
    assert difference(*paths[4:]) == 0.0
    write_csv(tmp_path / "a.csv", ["n"], [{"n": 1.0}])
    write_csv(tmp_path / "b.csv", ["n"], [{"n": 1.25}])
    assert difference(tmp_path / "a.csv", tmp_path / "b.csv") == 0.25


def test_a_share_of_entries_may_differ_by_one_of_them(tmp_path: Path) -> None:
    columns = ["path", "entries", "share_above_0.1", "largest"]
    row = {"path": "q", "entries": 4096, "share_above_0.1": 80.6396, "largest": 0.5}
    for name, share in (("a", 80.6396), ("b", 80.6641), ("c", 80.6885)):
        write_csv(tmp_path / f"{name}.csv", columns, [{**row, "share_above_0.1": share}])
    assert difference(tmp_path / "a.csv", tmp_path / "b.csv") == 0.0
    assert math.isclose(difference(tmp_path / "a.csv", tmp_path / "c.csv"), 0.0489)


@pytest.mark.parametrize(
    ("program", "seconds", "left", "status"), [("pass", 10, 0, 0), ("import time; time.sleep(60)", 0.5, 1, -SIGKILL)]
)
def test_a_process_that_has_ended_is_no_survivor_though_nobody_has_asked_for_its_status(
    program: str, seconds: float, left: int, status: int
) -> None:
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    assert len(survivors(process.pid, seconds)) == left
    assert process.wait(10) == status
