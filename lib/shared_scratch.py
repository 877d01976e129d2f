"""Scratch space of several processes on the same work, also on several machines: one lock for all, one folder for all.

One process takes the lock and the others wait for its word, a minute at a time: a long wait in one exchange would
end in the exchange's timeout. A checkpoint that only some processes see would have them train from different steps.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from lib.distributed import World
from lib.scratch import lock_of, scratch

_WORD_SECONDS = 60
_SEEN_SECONDS = 30
"""A network's file system may show a new file late."""
_MARK = "written-by-the-first"


@contextmanager
def shared_scratch(stage: str, key: str, world: World) -> Iterator[Path]:
    """The folder of this piece of work, under a lock: two runs of the same work take turns, however many processes.

    Raises FileNotFoundError where a process does not see what the first one writes there.
    """
    with scratch(stage, key, lock=False) as folder:
        lock = FileLock(lock_of(folder))
        while not any(world.gather([world.first and _taken(lock)])):
            logging.getLogger(__name__).info("%s: waiting for another run of the same work (%s)", stage, lock.lock_file)
        try:
            _check_seen_by_all(folder, world)
            yield folder
        finally:
            lock.release()


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=_WORD_SECONDS)
    except Timeout:
        return False
    return True


def _check_seen_by_all(folder: Path, world: World) -> None:
    if world.size == 1:
        return
    mark = str(uuid4()) if world.first else ""
    if world.first:
        (folder / _MARK).write_text(mark)
    wanted = world.gather([mark])[0]
    blind = [rank for rank, sees in enumerate(world.gather([_sees(folder / _MARK, wanted)])) if not sees]
    if blind:
        raise FileNotFoundError(
            f"{folder}: the processes {', '.join(map(str, blind))} of {world.size} do not see what process 0 writes "
            "there. Run from a folder that all machines share, or set DVC_ROOT to one on every machine."
        )


def _sees(path: Path, wanted: str) -> bool:
    until = time.monotonic() + _SEEN_SECONDS
    while not (path.is_file() and path.read_text() == wanted):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
