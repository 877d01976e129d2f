"""Scratch space of several processes: their lock, and that all see it. The other processes are played by a record."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from lib.core.params import ROOT
from lib.runtime import imports
from lib.runtime import scratch as shared
from lib.runtime.distributed import Distributed
from lib.runtime.scratch import lock_of


@dataclass(frozen=True, kw_only=True)
class Played(Distributed):
    """A process among two, of which the other answers what is written here."""

    answers: list[Any] = field(default_factory=list)

    def all_gather(self, items: list[Any]) -> list[Any]:
        answer = self.answers.pop(0)
        return [*items, answer] if self.is_main else [answer, *items]


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(shared, "_SEEN_SECONDS", 0.01)
    monkeypatch.setattr(shared, "_WORD_SECONDS", 0.01)


def test_a_process_that_does_not_see_the_firsts_files_is_refused() -> None:
    processes = Played(rank=1, world_size=2, answers=[True, "a mark that is not there", True])
    with (
        pytest.raises(FileNotFoundError, match="processes 1 of 2 do not see what process 0 writes"),
        shared.shared_scratch("edit", "key", processes),
    ):
        pass


def test_the_first_hears_that_another_does_not_see() -> None:
    processes = Played(rank=0, world_size=2, answers=[False, "", False])
    with (
        pytest.raises(FileNotFoundError, match="processes 1 of 2"),
        shared.shared_scratch("edit", "key", processes),
    ):
        pass


def test_the_others_wait_for_the_firsts_word_and_take_no_lock(tmp_path: Path) -> None:
    processes = Played(rank=1, world_size=2, answers=[False, False, True, "mark", True])
    folder = tmp_path / ".scratch" / "edit" / "key"
    folder.mkdir(parents=True)
    (folder / "written-by-the-first").write_text("mark")
    with FileLock(lock_of(folder)), shared.shared_scratch("edit", "key", processes) as scratch:
        assert scratch == folder
    assert processes.answers == []


def test_the_first_waits_while_another_run_has_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / ".scratch" / "edit" / "key"
    folder.mkdir(parents=True)
    held = FileLock(lock_of(folder))
    held.acquire()

    class Freed(Played):
        def all_gather(self, items: list[Any]) -> list[Any]:
            waited.append(items[0])
            if len(waited) == 2:
                held.release()
            return super().all_gather(items)

    waited: list[Any] = []
    with shared.shared_scratch("edit", "key", Freed(rank=0, world_size=2, answers=[False, False, False, "", True])):
        assert waited[:3] == [False, False, True]
        with pytest.raises(TimeoutError):
            held.acquire(timeout=0.01)
    held.acquire(timeout=0.01)
    held.release()


def test_the_least_recently_used_work_is_removed_unless_a_run_holds_it(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("oldest", "held", "old", "used")]
    for age, folder in enumerate(folders):
        folder.mkdir()
        (folder / "piece").touch()
        os.utime(folder, (age, age))
    with FileLock(lock_of(tmp_path / "held")):
        shared.keep_recent(tmp_path / "oldest", 2)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["held", "oldest", "used"]


def test_a_kill_while_work_is_forgotten_leaves_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: a session went before another, and the next run built on the one that was left."""

    def killed(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise KeyboardInterrupt

    with shared.scratch("edit", "key") as folder:
        for name in ("session-1", "session-2"):
            (folder / name).mkdir()
        monkeypatch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            shared.forget(folder)
        monkeypatch.undo()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with shared.scratch("edit", "key") as folder:
        assert list(folder.iterdir()) == []
        shared.forget(folder)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["key"]


def test_unfinished_work_depends_on_the_code_that_its_stage_imports_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "lib", tmp_path / "lib")
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    monkeypatch.setattr(shared, "ROOT", tmp_path)
    monkeypatch.setattr(imports, "ROOT", tmp_path)
    before = {stage: shared.code_fingerprint(f"stages.{stage}") for stage in ("neighbors", "edit")}
    with (tmp_path / "lib/editors/rome.py").open("a") as stream:
        stream.write("# a comment\n")
    assert shared.code_fingerprint("stages.neighbors") == before["neighbors"]
    assert shared.code_fingerprint("stages.edit") != before["edit"]
    with (tmp_path / "lib/report/page.py").open("a") as stream:
        stream.write("# a comment\n")
    with (tmp_path / "lib/neighbors/overlap.py").open("a") as stream:
        stream.write("# a comment\n")
    assert shared.code_fingerprint("stages.neighbors") != before["neighbors"]
