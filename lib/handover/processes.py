"""Several `dvc` in one workspace, each a stream of lines; none is left when the work ends, however it ends."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import IO


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a process did; without `stream`: for long nothing."""

    stream: str = ""
    line: str = ""
    status: int | None = None
    """With which it has ended."""

    @property
    def is_silence(self) -> bool:
        """Whether nothing came for long."""
        return not self.stream


class Processes:
    """The processes by stream. As a context manager, it ends those that still run."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._queue: Queue[Event] = Queue()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.terminate()  # nothing where it has ended
        for process in self._processes.values():
            process.wait()

    def start(self, stream: str, arguments: Sequence[str]) -> None:
        """Begin `dvc` with these arguments."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *arguments], cwd=self._workspace, env=environment(),
            text=True, encoding="utf-8", errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        self._processes[stream] = process
        Thread(target=self._pump, args=(stream, process, process.stdout), daemon=True).start()

    def _pump(self, stream: str, process: "subprocess.Popen[str]", lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._queue.put(Event(stream=stream, line=line))
        self._queue.put(Event(stream=stream, status=process.wait()))

    def events(self, silent_seconds: float) -> Iterator[Event]:
        """What they print, line by line, until all have ended; and that nothing came for so many seconds."""
        while self._processes:
            try:
                event = self._queue.get(timeout=silent_seconds)
            except Empty:
                yield Event()
                continue
            if event.status is not None:
                del self._processes[event.stream]
            yield event


def environment() -> dict[str, str]:
    """The variables that DVC runs under: `python` is this one, and scratch space is the workspace's own."""
    python = str(Path(sys.executable).parent)
    values = {**os.environ, "PATH": os.pathsep.join([python, os.environ.get("PATH", "")]), "PYTHONUNBUFFERED": "1"}
    values.pop("DVC_ROOT", None)
    return values
