"""What every stage shares: its options, how it starts, how it says what went wrong, its progress, and what it used."""

import argparse
import atexit
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from lib.core.errors import user_message
from lib.core.files import write_json
from lib.core.usage import in_words, peak_memory_mib

T = TypeVar("T")
_PR_SET_PDEATHSIG = 1
INTERRUPTED = "interrupted; to go on, run the same command again"
_SECONDS_UNTIL_DESTROYED = 0.05
_SECONDS_A_LINE = 5.0
"""Without a terminal, progress is a plain line every few seconds, and one at the end of what took so long."""


def run_stage(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse a stage's options, run its main function with them, and say and write what it used.

    Seconds and peak memory (lib/core/usage.py) are the last line of the log and the content of the file that the option
    `--usage` names. Of several processes the first one tells; its seconds begin where a launcher has started it.
    """
    parser.add_argument("--usage", type=Path, required=True, help="where the seconds and the peak memory go")
    run(lambda: _run_measured(main, parser.parse_args()))


def _run_measured(main: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> None:
    began = time.perf_counter()
    main(options)
    if is_first():
        usage: dict[str, float] = {"seconds": round(time.perf_counter() - began, 1), **peak_memory_mib()}
        write_json(options.usage, usage)
        logging.getLogger(__name__).info(in_words(options.usage.stem, usage))


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
    times as long (docs/benchmarks.md). On Linux the process is told to stop when its parent (dvc) dies, which dvc does
    not do itself; `with_parent` is false for what a person leaves running behind a shell that ends.
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
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` with a bar on a terminal, or with a plain line every few seconds in a log, with the time left."""
    count = len(items) if total is None and isinstance(items, Sized) else total
    if sys.stderr.isatty():
        yield from tqdm(items, desc=description, total=count, leave=False)
        return
    began, logged = time.monotonic(), 0.0
    for done, item in enumerate(items, start=1):
        yield item
        seconds = time.monotonic() - began
        if count and (seconds - logged >= _SECONDS_A_LINE or (done == count and logged)):
            logged = seconds
            left = seconds / done * (count - done)
            logging.getLogger(__name__).info("%s: %d of %d, %.0f s left", description, done, count, left)
