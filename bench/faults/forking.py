"""A process that has imported what stages import, and runs a stage in a fork of itself, as often as it is told to.

A stage's command of a second or less of work takes ten seconds to import torch and transformers; here it does not. What
runs in the fork is `python -m stages.<stage>` in all else: runpy, the options, lib/core/run.py, the exit status.
Started in a workspace as `python -m bench.faults.forking`; see `Forked` in bench/faults/workspace.py for its lines.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lib.core import run as running
from lib.core.params import ROOT

WRITES = frozenset(("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"))
"""Audit events of Python that change a folder; `open` to write is the other."""


def serve(warm: bool) -> None:
    """Read a job a line, fork for it, print the fork's process id, and, when it has ended, how it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a shell's Ctrl-C is for who started this
    if warm:
        _import([path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in _modules()])
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        process = os.fork()
        if not process:
            _become(job)
        print(json.dumps({"process": process}), flush=True)
        _, status, usage = os.wait4(process, 0)
        if job["learn"] and Path(job["learn"]).is_file():
            _import(json.loads(Path(job["learn"]).read_text()))
        seconds = usage.ru_utime + usage.ru_stime
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), "seconds": seconds}), flush=True)


def _modules() -> list[Path]:
    return sorted(path for path in (ROOT / "lib").rglob("*.py") if path.name != "__init__.py")


def _import(names: Sequence[str]) -> None:
    for name in names:
        if name not in sys.modules and not name.startswith(("__main__", "__mp_main__", "stages", "vllm", "ray")):
            with suppress(Exception):  # of a package that is not installed, or a name that is no module
                importlib.import_module(name)


def _become(job: Mapping[str, Any]) -> None:
    """Run the stage; never return. A SIGINT that comes before the stage's own code begins waits for that."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(job["variables"])
    _compute_with(job["variables"].get("OMP_NUM_THREADS"))
    if job["learn"]:
        atexit.register(lambda: Path(job["learn"]).write_text(json.dumps(sorted(sys.modules))))
    status = 1
    try:
        if job["stop_at"] or job["count"]:
            watch(job["stop_at"], job["signal"], job["count"])
        sys.argv = [job["module"], *job["arguments"]]
        _begin_with_interrupts()
        runpy.run_module(job["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        status = 128 + signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(status)


def _begin_with_interrupts() -> None:
    """From where lib/core/run.py begins, SIGINT comes through: before, Python itself starts and imports."""
    heeded_run = running.run

    def run(main: Callable[[], None], **options: bool) -> None:
        def begin() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            main()

        heeded_run(begin, **options)

    running.run = run


def _compute_with(threads: str | None) -> None:
    if threads:
        import torch  # here: some stages need not wait for it

        torch.set_num_threads(int(threads))


def watch(stop_at: int | None, number: int, count: str | None) -> None:
    """From here on count how often a file or folder of the workspace changes; send this process `number` at a count.

    Args:
        stop_at: the change, from 1, before which the signal comes; None: never.
        number: of the signal.
        count: the file that gets the number of changes at the end, and the hosts that were asked for; None: none does.
    """
    root, changes = str(ROOT), [0]
    hosts: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (host := _host(event, arguments)) is not None:
            hosts.append(host)
        if not (event in WRITES or (event == "open" and _to_write(arguments))):
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike) or not os.path.abspath(os.fsdecode(path)).startswith(root):
            return
        changes[0] += 1
        if changes[0] == stop_at:
            os.kill(os.getpid(), number)

    sys.addaudithook(hook)
    if count:
        atexit.register(lambda: Path(count).write_text(json.dumps({"changes": changes[0], "hosts": hosts})))


def _host(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The host that is asked for or connected to; of a socket in the file system, and of this machine, none."""
    if event == "socket.getaddrinfo" and arguments[0] not in (None, "", "localhost", "127.0.0.1"):
        return str(arguments[0])
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        return None if str(arguments[1][0]) in ("localhost", "127.0.0.1", "::1") else str(arguments[1][0])
    return None


def _to_write(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or (
        isinstance(mode, str) and any(letter in mode for letter in "wax+")
    )


if __name__ == "__main__":
    serve(warm="--cold" not in sys.argv)
