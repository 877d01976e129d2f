"""What every stage shares: its options, how it starts, how it says what went wrong, its progress, and what it used."""

import argparse
import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from lib.core.errors import user_message
from lib.core.files import write_json
from lib.core.parents import end_with_parent
from lib.core.usage import in_words, peak_memory_mib

T = TypeVar("T")
INTERRUPTED = "interrupted; to go on, run the same command again"
_SECONDS_UNTIL_DESTROYED = 0.05
_SECONDS_UNTIL_A_BAR = 1.0
"""So that the parts of a run, where they are short, do not flicker."""
_SECONDS_A_LINE = 5.0
"""Without a terminal, progress is a plain line every few seconds, and one at the end of what took so long."""
_SECONDS_SILENT = 15.0
"""So long after the last line there is another one, though nothing new is done."""


Main = Callable[[argparse.Namespace], Mapping[str, float] | None]
"""A stage: it gets its options and may return figures of what it used, beside those that every stage has."""


def run_stage(main: Main, parser: argparse.ArgumentParser) -> None:
    """Parse a stage's options, run its main function with them, and say and write what it used.

    Seconds and peak memory (lib/core/usage.py), and what `main` returns beside them, are the last line of the log and
    the content of the file that the option `--usage` names. Of several processes the first one tells; its seconds begin
    where a launcher has started it.
    """
    parser.add_argument("--usage", type=Path, required=True, help="where the seconds and the peak memory go")
    run(lambda: _run_measured(main, parser.parse_args()))


def _run_measured(main: Main, options: argparse.Namespace) -> None:
    began = time.perf_counter()
    figures = main(options) or {}
    if is_first():
        usage = {"seconds": round(time.perf_counter() - began, 1), **peak_memory_mib(), **figures}
        write_json(options.usage, usage)
        logging.getLogger(__name__).info(in_words(Path(sys.argv[0]).stem, usage))


def file_options(description: str | None, *names: str) -> argparse.ArgumentParser:
    """A parser with a required option for each file or folder that a stage reads or writes."""
    parser = argparse.ArgumentParser(description=description)
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser


def is_first() -> bool:
    """Whether this process, of those that a launcher started, writes the files; without a launcher it does."""
    return os.environ.get("RANK", "0") == "0"


def run(main: Callable[[], None], *, with_parent: bool = True) -> None:
    """Run an app's main function, or a stage's (`run_stage`).

    What is no bug (lib/core/errors.py: InputError, a full disk, a file that is absent, another process that is gone) is
    printed as a message, exit status 1; with ERRATA_TRACEBACK set, and for every other exception, with the traceback.
    Ctrl-C ends it with a line and the status that shells give it; once it has ended, what Python and its packages tear
    down is not interrupted.
    Threads that wait for work sleep: where they spin, as is usual, a step of a small model on busy cores takes 12
    times as long (docs/benchmarks.md). On Linux the process ends with its parent (lib/core/parents.py); `with_parent`
    is false for what a person leaves running behind a shell that ends.
    """
    try:
        with _interrupts_heeded():
            _set_up(with_parent)
            main()
    except KeyboardInterrupt:
        if os.environ.get("ERRATA_TRACEBACK"):
            raise
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        message = user_message(error)
        if message is None or os.environ.get("ERRATA_TRACEBACK"):
            raise
        sys.exit(f"error: {message}")
    finally:
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # the last to be registered is called first


def _set_up(with_parent: bool) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch loads its threads, which main does
    if sys.platform == "linux" and with_parent:
        end_with_parent()


@contextmanager
def _interrupts_heeded() -> Iterator[None]:
    """Within it, a Ctrl-C that comes while an object is destroyed, which Python reports and drops, comes once more.

    It comes at the latest at its end.
    """
    dropped = sys.unraisablehook
    pending: list[threading.Timer] = []

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            dropped(unraisable)
            return
        timer = threading.Timer(_SECONDS_UNTIL_DESTROYED, interrupt)
        timer.daemon = True
        pending.append(timer)
        timer.start()

    def interrupt() -> None:
        pending.clear()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = dropped
        for timer in pending:
            timer.cancel()
    if pending:  # it ended before the interrupt came once more
        raise KeyboardInterrupt


def progress(
    items: Iterable[T], description: str, total: int | None = None, size: Callable[[T], int] = lambda item: 1
) -> Iterator[T]:
    """Yield `items` with a bar on a terminal, or with a plain line every few seconds in a log, with the time left.

    While an item takes long, the bar's clock goes on, and a log gets a line all the same.

    Args:
        total: the sum of the sizes, where `items` are none that can be counted.
        size: of an item, in what the numbers count.
    """
    count = sum(map(size, items)) if total is None and isinstance(items, Sized) else total
    counter = _Bar(description, count) if sys.stderr.isatty() else _Lines(description, count)
    with _waited_for(counter):
        for item in items:
            yield item
            counter.advance(size(item))


class _Bar:
    """Progress on a terminal."""

    def __init__(self, description: str, total: int | None) -> None:
        self._bar = tqdm(desc=description, total=total, leave=False, delay=_SECONDS_UNTIL_A_BAR)

    def advance(self, size: int) -> None:
        self._bar.update(size)

    def still_at_work(self) -> None:
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """Progress in a log."""

    def __init__(self, description: str, total: int | None) -> None:
        self._description, self._total = description, total
        self._began, self._logged, self._advanced, self._done = time.monotonic(), 0.0, 0.0, 0

    def advance(self, size: int) -> None:
        self._done += size
        self._advanced = self._seconds
        is_end = self._done == self._total
        if self._total and (self._seconds - self._logged >= _SECONDS_A_LINE or (is_end and self._logged)):
            self._log()

    def still_at_work(self) -> None:
        if self._total and self._seconds - self._logged >= _SECONDS_SILENT:
            self._log()

    def close(self) -> None:
        """A log stays as it is."""

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _log(self) -> None:
        self._logged = seconds = self._seconds
        total = self._total or 0
        left = f"{self._left(total):.0f} s left" if self._done else f"{seconds:.0f} s so far"
        logging.getLogger(__name__).info("%s: %d of %d, %s", self._description, self._done, total, left)

    def _left(self, total: int) -> float:
        """Seconds, as long an item as those before, or as the one at work where that takes longer already."""
        an_item = max(self._advanced / self._done, self._seconds / (self._done + 1))
        return max(an_item * total - self._seconds, 0.0)


@contextmanager
def _waited_for(counter: _Bar | _Lines) -> Iterator[None]:
    """Within it, the counter is told every few seconds that the work goes on; closed at the end."""
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(_SECONDS_SILENT):
            counter.still_at_work()

    thread = threading.Thread(target=tell, name="errata progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        counter.close()
