"""`dvc repro` in a workspace, watched: a live table of the stages on a terminal, plain lines in a log.

Stages that do not need each other run side by side, in a process of DVC each, where lib/handover/beside.py allows it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from ruamel.yaml import YAML

from lib.core.errors import InputError
from lib.core.files import read_json
from lib.handover import beside
from lib.handover.beside import Phase
from lib.handover.processes import Processes
from lib.handover.stages import MAIN, PipelineState, StageState, in_words

_SILENT_SECONDS = 30.0
"""In a log, the longest time without a line."""
_SHARE_SECONDS = 10.0
"""In a log, the shortest time between two lines that differ in how far a stage is."""
_LOG = "errata.log"
_MESSAGES = 3
_MARKS = {"waiting": " ", "running": ">", "done": "+", "unchanged": "=", "failed": "x"}
_SIDE = "side"
_WAIT = ["--wait-for-lock"]
"""For the moments in which the other process reads and writes dvc.lock."""
Show = Callable[[Sequence[StageState]], None]
"""Takes the stages whose state has changed; none where nothing was printed for long."""


def repro(
    workspace: Path, estimates: Mapping[str, float], console: Console, target: str = "report",
    from_cache: bool = True, one_by_one: bool = False, log: str = _LOG,
) -> PipelineState:  # fmt: skip
    """Run the pipeline up to stage `target`; what it prints is kept in the file `log` of the workspace.

    Without `from_cache` every stage runs, whatever earlier runs have made. With `one_by_one`, and without `from_cache`,
    no stage runs beside another.

    Raises InputError with the stage's own message where one fails.
    """
    names = _stages(workspace, target)
    state = PipelineState.of(names, estimates)
    log_path = workspace / log
    log_path.parent.mkdir(parents=True, exist_ok=True)
    phases = beside.phases(names, from_cache and not one_by_one and beside.has_cores_for_two())
    status = 0
    with (
        log_path.open("w", encoding="utf-8", buffering=1) as log_file,
        _display(state, console) as show,
        Processes(workspace) as processes,
    ):
        for number, phase in enumerate(phases):
            if number and phase.side and not state.has_run():
                continue  # what the first phase made is there, so most likely all is: the last one says so
            options = [] if from_cache else ["--force", "--no-run-cache"]
            processes.start(MAIN, [*(_WAIT if phase.side else []), "repro", *options, *phase.targets])
            if status := _watch(processes, state, phase, show, log_file.write, workspace):
                break
    if status:
        reason = "\n".join(state.errors or state.messages[-_MESSAGES:]).removeprefix("error: ")
        raise InputError(f"{reason}\nEverything that the stages printed is in {log_path}")
    return state


def _watch(
    processes: Processes,
    state: PipelineState,
    phase: Phase,
    show: Show,
    write: Callable[[str], object],
    workspace: Path,
) -> int:
    """Follow a phase until it has failed, or it and the stage beside it have ended; the exit status of the phase."""
    is_alone = phase.side is None
    for event in processes.events(_SILENT_SECONDS):
        clock = time.monotonic()
        if event.status is not None:
            changed = state.finish(event.status == 0, clock, event.stream)
        else:
            write(event.line)
            changed = state.read(event.line, clock, event.stream)
        if changed or event.is_silence:
            show(changed)
        if event.stream == MAIN and event.status:
            return event.status
        if not is_alone and any(stage.name == phase.beside and stage.state == "running" for stage in changed):
            is_alone = True
            if beside.has_memory_for_two(workspace):
                processes.start(_SIDE, [*_WAIT, "repro", "--single-item", str(phase.side)])
    return 0


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


@contextmanager
def _display(state: PipelineState, console: Console) -> Iterator[Show]:
    """Within it, a function that prints; on a terminal it has nothing to do, since the table follows by itself."""
    if console.is_terminal:
        with Live(get_renderable=lambda: table(state, time.monotonic()), console=console, refresh_per_second=2):
            yield lambda stages: None
        return

    printed_at: dict[str, float] = {}

    def show(stages: Sequence[StageState]) -> None:
        clock = time.monotonic()
        is_share_only = len(stages) == 1 and stages[0].state == "running" and bool(stages[0].work)
        if is_share_only and clock - printed_at.get(stages[0].name, 0.0) < _SHARE_SECONDS:
            return
        for stage in stages or state.running():
            console.print(plain_line(stage, state, clock), markup=False, highlight=False, soft_wrap=True)
            printed_at[stage.name] = clock

    yield show


def plain_line(stage: StageState, state: PipelineState, clock: float) -> str:
    """One line of a log: the stage, what it is at, for how long, and what is left of all stages."""
    took, estimate = in_words(stage.seconds(clock)), in_words(stage.estimate)
    if stage.state == "unchanged":
        return f"{stage.name}: taken from an earlier run"
    if stage.state == "waiting":
        return f"{stage.name}: failed beside another stage, and runs once more after it"
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
