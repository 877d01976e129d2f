"""What ends a server that a person has started: Ctrl-C, or SIGTERM as `kill` sends it."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def until_ended(tell: Callable[[str], None]) -> Iterator[None]:
    """Within it, Ctrl-C and SIGTERM end the work: `tell` takes the word `ended`, and nothing is raised."""
    earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        tell("ended")
    finally:
        signal.signal(signal.SIGTERM, earlier)


def what_ends_it() -> str:
    """How a person ends the work, in words.

    A script's shell starts what is in the background with SIGINT ignored, so that Ctrl-C ends the script and not the
    server; so it stays, as in other servers, and `kill` is what ends it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return f"`kill {os.getpid()}` ends (Ctrl-C is ignored in the background of a script)"
    return "Ctrl-C ends"
