"""The command `errata`: its subcommands, by module; what they do is in apps/."""

import os
import signal
import sys

from errata import asking, doors, making
from errata.frame import app

__all__ = ["NAMES", "app", "asking", "doors", "main", "making"]

NAMES = (
    "fix", "ask", "chat", "add", "list", "remove", "undo", "merge", "export", "serve", "verify", "card", "table",
    "compare", "runs", "report", "reproduce", "doctor", "demo",
)  # fmt: skip
"""In the order of the help."""
app.registered_commands.sort(key=lambda command: NAMES.index(command.name or getattr(command.callback, "__name__", "")))


def main() -> None:
    """The entry point."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what it has started ends with it
    app(prog_name="errata")
