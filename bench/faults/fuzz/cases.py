"""One fuzzed file after another: written, read by its loader within bounds, and judged.

A case is drawn from the seed, the loader's name and its number alone, so that any case can be run again by itself:

    python -m bench.faults.fuzz.cases LOADER FIRST [LAST] [--seed SEED]

prints a line of JSON for each. `judged` runs that in a process of its own, which may hang, crash or eat memory.
"""

import argparse
import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any, Literal

from bench.faults import SEED
from bench.faults.fuzz import mutations
from lib.core.errors import user_message
from lib.core.params import ROOT

SETTINGS = "settings"
"""The loader of params.yaml with its presets, which is a part of its own."""
COMMAND_LINE = "command line"
"""The loader of a command line's settings, a part of its own, too."""
SECONDS = 10
"""What reading one small file may take."""
_START = 600
"""What importing everything may take on a busy machine."""
_GIB = 12
"""Of memory."""
_NOBODY = 65_534
_SOURCES = (
    "bench.faults.fuzz.datasets",
    "bench.faults.fuzz.texts",
    "bench.faults.fuzz.folders",
    "bench.faults.fuzz.archives",
    "bench.faults.fuzz.lists",
    "bench.faults.fuzz.settings",
    "bench.faults.fuzz.command_line",
)
Verdict = Literal["read", "refused", "bug"]


class TimeIsUp(BaseException):
    """A case takes too long; not an Exception, so that no reader takes it for a damaged file."""


def encoded(name: str, values: Any, random: Random) -> bytes:
    """The bytes of a file of JSON."""
    return mutations.json_bytes(values, random)


@dataclass(frozen=True, kw_only=True)
class Loader:
    """What reads a kind of file, and a sound file of it."""

    name: str
    files: Mapping[str, bytes]
    """Sound content by the file's name; a case changes one of them."""
    read: Callable[[Path], "RowCount | None"]
    """Reads the folder with the files; None where nothing can be counted."""
    values: Mapping[str, Any]
    """The content of those files that are JSON values, for changes of their structure."""
    encode: Callable[[str, Any, Random], bytes | None] = encoded
    """The bytes of a file of this name that holds these values; None where its format cannot hold them."""
    named_by: tuple[str, ...] = ()
    """What a refusal may name in place of the file: of settings the key."""
    fixed: tuple[str, ...] = ()
    """Files that no case changes."""


@dataclass(frozen=True, kw_only=True)
class RowCount:
    """What came of the rows of a file."""

    rows: int
    """How many the loader says that there are."""
    lines: Mapping[int, str]
    """What was made of each row that was read, by its line."""
    rejects: frozenset[int]
    """The lines of the others."""
    expected: int | None = None
    """How many there are, counted by other code; None where that cannot be known."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What came of one case."""

    index: int
    change: str
    verdict: Verdict
    reason: str
    """Of a bug, by which it is counted."""
    detail: str = ""


def loaders() -> dict[str, Loader]:
    """Every loader, by name."""
    return {loader.name: loader for source in _SOURCES for loader in import_module(source).LOADERS}


def run_case(loader: Loader, index: int, parent: Path, seed: int = SEED) -> Case:
    """Write the loader's files into a folder of `parent`, one of them changed, read them, and judge what comes."""
    random = Random(f"{seed}/{loader.name}/{index}")
    folder = parent / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o777)
    name = random.choice([name for name in loader.files if name not in loader.fixed])
    for other_name, data in loader.files.items():
        if other_name != name:
            (folder / other_name).write_bytes(data)
    with _deep():
        change = _write(loader, folder / name, random)
    as_nobody = change == "unreadable" and os.geteuid() == 0
    try:
        with _bounded(), _without_rights(as_nobody):
            reading = loader.read(folder)
    except (Exception, TimeIsUp) as error:
        return _judged_error(error, index, f"{name}: {change}", (name, folder.name, *loader.named_by))
    loss = None if reading is None else _loss(reading)
    verdict: Verdict = "read" if loss is None else "bug"
    return Case(index=index, change=f"{name}: {change}", verdict=verdict, reason=loss or "")


def _write(loader: Loader, path: Path, random: Random) -> str:
    """Write a changed file; what was changed."""
    values, data = loader.values.get(path.name), loader.files[path.name]
    kind = random.random()
    if kind < 0.06:
        return mutations.no_file(path, random)
    if values is not None and kind < 0.56:
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            values, change = mutations.restructured(values, random)
        encoded = loader.encode(path.name, values, random)
        if encoded is not None:
            path.write_bytes(encoded)
            return f"structure: {change}"
    if values is not None and kind < 0.6 and path.suffix in (".json", ".jsonl"):
        path.write_bytes(mutations.with_repeated_key(data, random))
        return "structure: a key twice"
    for _ in range(random.choice((1, 1, 1, 2))):
        data, change = mutations.damaged(data, random)
    path.write_bytes(data)
    return f"text: {change}"


def _judged_error(error: BaseException, index: int, change: str, names: tuple[str, ...]) -> Case:
    message = None if isinstance(error, TimeIsUp) else user_message(error)
    if message is None:
        where = next(
            (
                f"{Path(frame.filename).relative_to(ROOT)}:{frame.name}"
                for frame in reversed(traceback.extract_tb(error.__traceback__))
                if frame.filename.startswith(str(ROOT))
                and not frame.filename.startswith(f"{ROOT}/bench/")
                and "/.venv/" not in frame.filename
            ),
            "",
        )
        reason = f"{type(error).__name__} in {where}"
        detail = "".join(traceback.format_exception(error))[-1500:]
        return Case(index=index, change=change, verdict="bug", reason=reason, detail=detail)
    if not any(name in message for name in names):
        return Case(index=index, change=change, verdict="bug", reason="names no file", detail=message[:600])
    return Case(index=index, change=change, verdict="refused", reason="", detail=message[:300])


def _loss(reading: RowCount) -> str | None:
    """What was lost without a word; None where nothing was."""
    if reading.expected is not None and reading.rows != reading.expected:
        return f"{'fewer' if reading.rows < reading.expected else 'more'} rows than the file has"
    if len(reading.lines) + len(reading.rejects - {*reading.lines}) != reading.rows:
        return "a row is neither read nor rejected"
    return None


@contextmanager
def _deep() -> Iterator[None]:
    """Within it, deeply nested values can be made; readers have Python's usual limit."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


@contextmanager
def _bounded() -> Iterator[None]:
    def end(*_: object) -> None:
        raise TimeIsUp

    signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


@contextmanager
def _without_rights(as_nobody: bool) -> Iterator[None]:
    """Within it, root has no more rights than nobody, where that is asked for."""
    if not as_nobody:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def judged(name: str, first: int, last: int, seed: int = SEED) -> list[Case]:
    """The cases of a loader from `first` up to `last`, `last` left out, run in processes that may end or hang."""
    cases: list[Case] = []
    while first < last:
        command = [sys.executable, "-m", "bench.faults.fuzz.cases", name, str(first), str(last), "--seed", str(seed)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        watch = _Watch(process)
        for line in process.stdout:
            cases.append(Case(**json.loads(line)))
            watch.end()
            watch.next()
        status = process.wait()
        watch.end()
        first = cases[-1].index + 1 if cases else first
        if first < last:
            cases.append(Case(index=first, change="?", verdict="bug", reason=f"the process ended with status {status}"))
            first += 1
    return cases


class _Watch:
    """Kills a process that says nothing for longer than a case and its start may take."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.next(_START + SECONDS)

    def next(self, seconds: int = 6 * SECONDS) -> None:
        """A line is waited for, for so long."""
        self._timer = Timer(seconds, self._process.kill)
        self._timer.start()

    def end(self) -> None:
        """The line came, or none will."""
        self._timer.cancel()


def main() -> None:
    """Run the cases that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loader")
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, nargs="?")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--show", action="store_true", help="in words, on one's screen")
    options = parser.parse_args()
    last = options.first + 1 if options.last is None else options.last
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    loader = loaders()[options.loader]
    resource.setrlimit(resource.RLIMIT_AS, (_GIB << 30, _GIB << 30))
    shared = Path("/dev/shm")
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library may print: the lines are this module's alone
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as parent:
        Path(parent).chmod(0o777)
        for index in range(options.first, last):
            case = run_case(loader, index, Path(parent), options.seed)
            fields = (
                (case.change, case.verdict, case.reason, case.detail) if options.show else (json.dumps(asdict(case)),)
            )
            print(*fields, sep="\n", file=lines, flush=True)


if __name__ == "__main__":
    main()
