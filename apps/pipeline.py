"""`dvc repro` in a workspace, watched: a live table of the stages on a terminal, plain lines in a log."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from rich.console import Console
from rich.live import Live
from rich.table import Table
from ruamel.yaml import YAML

from lib.core.errors import InputError
from lib.core.files import read_json
from lib.handover.stages import PipelineState, StageState, in_words
from lib.handover.workspace import environment

_SILENT_SECONDS = 30.0
"""In a log, the longest time without a line."""
_SHARE_SECONDS = 10.0
"""In a log, the shortest time between two lines that differ in how far a stage is."""
_LOG = "errata.log"
_MESSAGES = 3
_MARKS = {"waiting": " ", "running": ">", "done": "+", "unchanged": "=", "failed": "x"}


def repro(
    workspace: Path, estimates: Mapping[str, float], console: Console, target: str = "report", from_cache: bool = True
) -> PipelineState:
    """Run the pipeline up to stage `target`; what it prints is kept in errata.log of the workspace.

    Without `from_cache` every stage runs, whatever earlier runs have made.

    Raises InputError with the stage's own message where one fails.
    """
    state = PipelineState.of(_stages(workspace, target), estimates)
    command = [sys.executable, "-m", "dvc", "repro", *([] if from_cache else ["--force", "--no-run-cache"]), target]
    process = subprocess.Popen(
        command, cwd=workspace, env=environment(), text=True, encoding="utf-8", errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        with (workspace / _LOG).open("w", encoding="utf-8") as log, _display(state, console) as show:
            for line in _lines(process):
                if line is None:
                    show([])
                    continue
                log.write(line)
                log.flush()
                if changed := state.read(line, time.monotonic()):
                    show(changed)
            code = process.wait()
            show(state.finish(code == 0, time.monotonic()))
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
    if code:
        reason = "\n".join(state.errors or state.messages[-_MESSAGES:]).removeprefix("error: ")
        raise InputError(f"{reason}\nEverything that the stages printed is in {workspace / _LOG}")
    return state


def seconds_used(workspace: Path, state: PipelineState) -> dict[str, float]:
    """What the stages that ran say they took, in seconds, by stage."""
    used = {}
    for stage in state.stages.values():
        path = workspace / "metrics" / "usage" / f"{stage.name}.json"
        if stage.state == "done" and path.is_file():
            used[stage.name] = float(read_json(path)["seconds"])
    return used


def _stages(workspace: Path, target: str) -> list[str]:
    """Of dvc.yaml, in its order, up to the target: what is ahead."""
    names = list(YAML(typ="safe").load(workspace / "dvc.yaml")["stages"])
    return names[: names.index(target) + 1]


def _lines(process: "subprocess.Popen[str]") -> Iterator[str | None]:
    """What the process prints, line by line; None for every half minute in which it prints nothing."""
    queue: Queue[str | None] = Queue()
    assert process.stdout is not None
    stream = process.stdout

    def pump() -> None:
        for line in stream:
            queue.put(line)
        queue.put(None)

    thread = Thread(target=pump, daemon=True)
    thread.start()
    while True:
        try:
            line = queue.get(timeout=_SILENT_SECONDS)
        except Empty:
            yield None
            continue
        if line is None:
            return
        yield line


@contextmanager
def _display(state: PipelineState, console: Console) -> Iterator[Callable[[Sequence[StageState]], None]]:
    """Within it, a function that takes the stages whose state has changed; none where nothing was printed for long."""
    if console.is_terminal:
        with Live(get_renderable=lambda: table(state, time.monotonic()), console=console, refresh_per_second=2):
            yield lambda stages: None
        return

    printed_at = time.monotonic()

    def show(stages: Sequence[StageState]) -> None:
        nonlocal printed_at
        clock, running = time.monotonic(), state.running()
        is_share_only = len(stages) == 1 and stages[0] is running and bool(running.work)
        if is_share_only and clock - printed_at < _SHARE_SECONDS:
            return
        for stage in stages or ([running] if running else []):
            console.print(plain_line(stage, state, clock), markup=False, highlight=False, soft_wrap=True)
            printed_at = clock

    yield show


def plain_line(stage: StageState, state: PipelineState, clock: float) -> str:
    """One line of a log: the stage, what it is at, for how long, and what is left of all stages."""
    took, estimate = in_words(stage.seconds(clock)), in_words(stage.estimate)
    if stage.state == "unchanged":
        return f"{stage.name}: taken from an earlier run"
    if stage.state in ("done", "failed"):
        return f"{stage.name}: {stage.state}, {took}"
    if not stage.work and stage.seconds(clock) < 1:
        return f"{stage.name}: begins, about {estimate}; {state.left(clock)} of all left"
    work = f", {_work(stage, clock)}" if stage.work else ""
    late = f", longer than the {estimate} that were estimated" if stage.is_late(clock) else ""
    left = stage.left(clock)
    return f"{stage.name}: {took}{work}{late}" + ("" if left is None else f"; about {in_words(left)} left")


def _work(stage: StageState, clock: float) -> str:
    """What a stage is at, how far, and how long that takes yet: `editing 25% (30 s)`."""
    name = stage.work.partition(": ")[2] or stage.work
    left = stage.work_left(clock)
    return " ".join(
        [
            name,
            *([] if stage.share is None else [f"{stage.share:.0%}"]),
            *([] if left is None else [f"({in_words(left)})"]),
        ]
    )


def table(state: PipelineState, clock: float) -> Table:
    """The stages, what each is at, how long it has taken and what is left, as a table."""
    rows = Table(box=None, pad_edge=False, caption=f"left, about: {state.left(clock)}", caption_justify="left")
    for name in ("", "stage", "at", "took", "left"):
        rows.add_column(name, justify="right" if name in ("took", "left") else "left", no_wrap=name != "at")
    for stage in state.stages.values():
        work = {"running": _work(stage, clock), "unchanged": "from an earlier run"}
        took = in_words(stage.seconds(clock)) if stage.started is not None else ""
        ahead = in_words(stage.left(clock)) if stage.state in ("waiting", "running") else ""
        style = "bold" if stage.state == "running" else "dim" if stage.state == "waiting" else None
        rows.add_row(_MARKS[stage.state], stage.name, work.get(stage.state, ""), took, ahead, style=style)
    return rows
