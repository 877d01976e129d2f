"""What every stage shares: how it starts, how it says what went wrong, and its progress."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

from lib.core.errors import user_message

T = TypeVar("T")
_PR_SET_PDEATHSIG = 1
_LINES_IN_A_LOG = 10
"""Without a terminal, progress is a plain line about every tenth of the way."""


def run(main: Callable[[], None], *, with_parent: bool = True) -> None:
    """Run a stage's main function, or an app's.

    What is no bug (lib/core/errors.py: InputError, a full disk, a file that is absent, another process that is gone) is
    printed as a message, exit status 1; with ERRATA_TRACEBACK set, and for every other exception, with the traceback.
    On Linux the process is told to stop when its parent (dvc) dies, which dvc does not do itself; `with_parent` is
    false for what a person leaves running behind a shell that ends.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if sys.platform == "linux" and with_parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        main()
    except Exception as error:
        message = user_message(error)
        if message is None or os.environ.get("ERRATA_TRACEBACK"):
            raise
        sys.exit(f"error: {message}")


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` with a bar on a terminal, or with a plain line now and then in a log."""
    count = len(items) if total is None and isinstance(items, Sized) else total
    if sys.stderr.isatty():
        yield from tqdm(items, desc=description, total=count, leave=False)
        return
    logged = 0
    for done, item in enumerate(items, start=1):
        yield item
        if count and (part := done * _LINES_IN_A_LOG // count) > logged:
            logged = part
            logging.getLogger(__name__).info("%s: %d of %d", description, done, count)
