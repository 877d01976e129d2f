"""What `dvc repro` prints, as the states of its stages: which run, how far they are, how long the rest will take."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["waiting", "running", "done", "unchanged", "failed"]
MAIN = "main"
"""The stream of the process whose failure is the run's. A stage that fails in another stream waits anew."""
_RUNS = re.compile(r"Running stage '(?P<stage>[\w-]+)'")
_UNCHANGED = re.compile(r"Stage '(?P<stage>[\w-]+)' (?:is cached|didn't change)")
_FAILED = re.compile(r"ERROR: failed to reproduce '(?P<stage>[\w-]+)'")
_COUNT = re.compile(r"(?P<work>[^:]+: .*?): (?P<done>[\d,]+) of (?P<total>[\d,]+)(?:, \d+ s (?:left|so far))?")
_MESSAGE = re.compile(r"error: .*")
_DVC = re.compile(r"> |Updating lock|Generating lock|Use `dvc|To track|git add|Waiting to acquire lock|\s*$")


@dataclass
class StageState:
    """How far a stage is."""

    name: str
    estimate: float | None = None
    """Seconds that it takes, about; None: not known."""
    state: State = "waiting"
    started: float | None = None
    ended: float = 0.0
    work: str = ""
    """What it is at, in its own words."""
    share: float | None = None
    """Of that work, 0 to 1."""
    work_started: float = 0.0
    """When the work before it was last heard of, or the stage began."""
    last_count: float | None = None

    def wait_anew(self) -> None:
        """Be as before it ran."""
        self.state, self.started, self.work, self.share, self.last_count = "waiting", None, "", None, None

    def seconds(self, clock: float) -> float:
        """How long it has run."""
        if self.started is None:
            return 0.0
        return (clock if self.state == "running" else self.ended) - self.started

    def is_late(self, clock: float) -> bool:
        """Whether it runs longer than was estimated."""
        return self.estimate is not None and self.seconds(clock) > self.estimate

    def left(self, clock: float) -> float | None:
        """Seconds that are left of it, about; None: not known.

        A stage has several pieces of work one after another, and the first says nothing of the last: its own end is
        taken for the stage's only where there is no estimate, or the estimate has run out.
        """
        if self.state not in ("waiting", "running"):
            return 0.0
        if self.estimate is None or self.is_late(clock):
            return self.work_left(clock)
        return self.estimate - self.seconds(clock)

    def work_left(self, clock: float) -> float | None:
        """Seconds that are left of the work that it is at, about; None: not known, or the work is done."""
        if self.state != "running" or not self.share or self.share >= 1:
            return None
        return (clock - self.work_started) * (1 - self.share) / self.share


@dataclass
class PipelineState:
    """The stages of one run, in the order of dvc.yaml, kept up with what its `dvc repro` print.

    Each process is a stream, in which one stage runs at a time.
    """

    stages: Mapping[str, StageState]
    messages: list[str] = field(default_factory=list)
    """What a stage of the main stream has said to its user, the last line last."""
    errors: list[str] = field(default_factory=list)
    """The lines of the error that ended the main stream."""
    running_in: dict[str, StageState] = field(default_factory=dict)
    """The stage that runs, by stream."""

    @classmethod
    def of(cls, names: Sequence[str], estimates: Mapping[str, float]) -> "PipelineState":
        """Of a run that has not begun."""
        return cls(stages={name: StageState(name=name, estimate=estimates.get(name)) for name in names})

    def read(self, line: str, clock: float, stream: str = MAIN) -> list[StageState]:
        """Take in a line of a stream; the stages whose state it has changed."""
        line = line.rstrip()
        if match := _RUNS.search(line):
            return self._begin(match["stage"], clock, stream)
        if match := _UNCHANGED.search(line):
            return self._end(match["stage"], "unchanged", clock, stream)
        if match := _FAILED.search(line):
            return self._end(match["stage"], "failed", clock, stream)
        if stream == MAIN and (self.errors or _MESSAGE.fullmatch(line)):
            self.errors += [] if _DVC.match(line) else [line]
            return []
        if (running := self.running_in.get(stream)) and (match := _COUNT.fullmatch(line)):
            if running.work != match["work"]:
                earlier = running.last_count if running.last_count is not None else running.started
                running.work, running.work_started = match["work"], clock if earlier is None else earlier
            running.last_count = clock
            running.share = _number(match["done"]) / max(1, _number(match["total"]))
            return [running]
        self.messages += [] if stream != MAIN or _DVC.match(line) else [line]
        return []

    def finish(self, succeeded: bool, clock: float, stream: str = MAIN) -> list[StageState]:
        """The stream has ended: the stage that ran in it is done, or has failed."""
        running = self.running_in.get(stream)
        return self._end(running.name, "done" if succeeded else "failed", clock, stream) if running else []

    def running(self) -> list[StageState]:
        """The stages that run."""
        return [stage for stage in self.stages.values() if stage.state == "running"]

    def has_run(self) -> bool:
        """Whether a stage has run, or runs."""
        return any(stage.state in ("running", "done") for stage in self.stages.values())

    def left(self, clock: float) -> str:
        """How long all that is left takes, in words; of stages for which it is not known: that it is more.

        Stages that wait come one after another; of those that run side by side, the longest counts.
        """
        waiting = [stage.left(clock) for stage in self.stages.values() if stage.state == "waiting"]
        running = [stage.left(clock) for stage in self.running()]
        longest = max((part for part in running if part is not None), default=0.0)
        seconds = sum(part for part in waiting if part is not None) + longest
        if None not in waiting + running:
            return in_words(seconds)
        return f"more than {in_words(seconds)}" if seconds else in_words(None)

    def _begin(self, name: str, clock: float, stream: str) -> list[StageState]:
        changed = self.finish(True, clock, stream)
        if stage := self.stages.get(name):
            stage.state, stage.started = "running", clock
            self.running_in[stream] = stage
            changed.append(stage)
        return changed

    def _end(self, name: str, state: State, clock: float, stream: str) -> list[StageState]:
        """The stage that ran in the stream has ended; what has run before stays `done` when DVC finds it unchanged."""
        changed = []
        if running := self.running_in.pop(stream, None):
            running.state, running.ended = ("done" if running.name != name else state), clock
            changed.append(running)
        if (stage := self.stages.get(name)) and stage is not running and stage.state == "waiting":
            stage.state = state
            changed.append(stage)
        for stage in changed:
            if stage.state == "failed" and stream != MAIN:
                stage.wait_anew()
        return changed


def in_words(seconds: float | None) -> str:
    """A length of time as people say it: `40 s`, `3 min`, `2 h 5 min`; `?` where it is not known."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _number(text: str) -> int:
    return int(text.replace(",", ""))
