"""Scratch space for work that may be killed: finished pieces survive and are found again by what they were made from.

It lies outside of DVC's outputs, in .scratch/<stage>/<fingerprint>/ of the main repository, also when DVC runs an
experiment in a temporary copy. The fingerprint covers inputs, parameters and code, so a stale piece is never found.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from filelock import FileLock, Timeout

from lib.core.files import put_in_place, sha256
from lib.core.params import ROOT
from lib.runtime.imports import closure

if TYPE_CHECKING:
    from lib.runtime.distributed import Distributed


def fingerprint(**parts: Any) -> str:
    """A short hash of named values; a Path stands for the content of its file or folder."""
    return _hash(json.dumps({name: _content(value) for name, value in parts.items()}, sort_keys=True))


def code_fingerprint(module: str) -> str:
    """A hash of the project's source that `module`, by its dotted name, imports.

    Work that another version of this code has begun is never continued.
    """
    files = closure(ROOT.joinpath(*module.split(".")).with_suffix(".py"))
    return fingerprint(**{name: ROOT / name for name in sorted(files)})


def _content(value: Any) -> Any:
    if isinstance(value, Path):
        files = sorted(file for file in value.rglob("*") if file.is_file()) if value.is_dir() else [value]
        return [(file.name, sha256(file)) for file in files]
    return value


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def scratch(stage: str, key: str, lock: bool = True) -> Iterator[Path]:
    """The folder of this piece of work, under a lock: two runs of the same work take turns.

    Without `lock` the caller sees to that (`shared_scratch`, for several processes).
    """
    folder = Path(os.environ.get("DVC_ROOT", ROOT)) / ".scratch" / stage / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_of(folder)) if lock else nullcontext():
        folder.mkdir(exist_ok=True)  # whoever had the lock was killed in `forget`
        yield folder


def lock_of(folder: Path) -> Path:
    """The file whose lock a piece of work runs under."""
    return folder.with_name(f"{folder.name}.lock")


def forget(folder: Path) -> None:
    """Remove the pieces of finished work, all at once: a kill leaves no part of them, on which a run would build.

    The folder stays for whoever waits for its lock.
    """
    forgotten = folder.with_name(f"{folder.name}.forgotten")
    shutil.rmtree(forgotten, ignore_errors=True)
    put_in_place(folder, forgotten)
    folder.mkdir()
    shutil.rmtree(forgotten)


def keep_recent(folder: Path, count: int) -> None:
    """Mark `folder` as used now and remove the least recently used ones beside it, all but `count` in all.

    A folder whose lock a run holds stays.
    """
    os.utime(folder)
    folders = [path for path in folder.parent.iterdir() if path.is_dir()]
    by_age = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_age[count:]:
        with suppress(Timeout), FileLock(lock_of(path), timeout=0):
            shutil.rmtree(path)


_WORD_SECONDS = 60
_SEEN_SECONDS = 30
"""A network's file system may show a new file late."""
_MARK = "written-by-the-first"


@contextmanager
def shared_scratch(stage: str, key: str, distributed: "Distributed") -> Iterator[Path]:
    """The folder of this piece of work, under a lock: two runs of the same work take turns, however many processes.

    Raises FileNotFoundError where a process does not see what the first one writes there.
    """
    with scratch(stage, key, lock=False) as folder:
        lock = FileLock(lock_of(folder))
        while not any(distributed.all_gather([distributed.is_main and _taken(lock)])):
            logging.getLogger(__name__).info("%s: waiting for another run of the same work (%s)", stage, lock.lock_file)
        folder.mkdir(exist_ok=True)  # whoever had the lock was killed in `forget`
        try:
            _check_seen_by_all(folder, distributed)
            yield folder
        finally:
            lock.release()


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=_WORD_SECONDS)
    except Timeout:
        return False
    return True


def _check_seen_by_all(folder: Path, distributed: "Distributed") -> None:
    if distributed.world_size == 1:
        return
    mark = str(uuid4()) if distributed.is_main else ""
    if distributed.is_main:
        (folder / _MARK).write_text(mark)
    expected = distributed.all_gather([mark])[0]
    blind = [rank for rank, sees in enumerate(distributed.all_gather([_sees(folder / _MARK, expected)])) if not sees]
    if blind:
        raise FileNotFoundError(
            f"{folder}: the processes {', '.join(map(str, blind))} of {distributed.world_size} do not see what "
            "process 0 writes there. Run from a folder that all machines share, or set DVC_ROOT to one on each."
        )


def _sees(path: Path, expected: str) -> bool:
    until = time.monotonic() + _SEEN_SECONDS
    while not (path.is_file() and path.read_text() == expected):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
