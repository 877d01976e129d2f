"""Continuations in chunks of requests: each a file of its own, drawn once, by any process on any machine.

A chunk's file is named after what decides on its texts, which is not how many are drawn: finished chunks survive a
kill, serve a longer list of requests, and hold the texts of every smaller number of draws; a larger number adds to the
file. Processes share the work through the files alone, each drawing what no other is drawing: one that is killed leaves
its chunk to the others, and a chunk's texts do not depend on who draws it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from lib.core.files import newest_sound
from lib.core.params import Para
from lib.core.records import Paraphrase, Request
from lib.core.tables import Streamed, read, write
from lib.generation.engine import Generator
from lib.paraphrases.candidates import candidates
from lib.paraphrases.draws import SampledText, SamplingPlan, draw, sampling_plans

T = TypeVar("T")
CHUNK = 128
"""Requests whose continuations are drawn, and kept against a kill, together."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some requests, how many continuations of one kind each of them gets, and the file that holds them."""

    requests: Sequence[Request]
    plan: SamplingPlan
    draws: int
    """Continuations per request."""
    file: Path

    @property
    def missing(self) -> range:
        """The numbers of the continuations that the file lacks, for every request alike."""
        rows = _sound(self.file, lambda path: len(Streamed(path=path, kind=SampledText))) or 0
        return range(min(rows // len(self.requests), self.draws), self.draws)

    @property
    def complete(self) -> bool:
        """Whether every continuation is in the file."""
        return not self.missing


def chunks_of(requests: Sequence[Request], para: Para, folder: Path) -> list[Chunk]:
    """The requests in chunks, with files in `folder`, which belongs to one model and one version of the code.

    A chunk holds one kind of paraphrase; there are none where `para` asks for none.
    """
    plans = sampling_plans(para) if para.n else []
    return [
        Chunk(requests=portion, plan=plan, draws=draws, file=folder / f"{plan.kind}-{plan.key(portion)}.parquet")
        for portion in (requests[start : start + CHUNK] for start in range(0, len(requests), CHUNK))
        for plan, draws in plans
    ]


def complete(
    chunks: Sequence[Chunk], generator: Generator, progress: Callable[[Sequence[Chunk]], Iterable[Chunk]]
) -> None:
    """Return when every chunk is complete, through this process or another one on the same files."""
    for wait in (False, True):
        incomplete = [chunk for chunk in chunks if not chunk.complete]
        for chunk in progress(incomplete) if incomplete else ():
            _complete(chunk, generator, wait)


def _complete(chunk: Chunk, generator: Generator, wait: bool) -> None:
    """Draw what a chunk lacks; where another process is drawing it, leave it alone or wait for that process."""
    try:
        with FileLock(f"{chunk.file}.lock", timeout=-1 if wait else 0):
            if missing := chunk.missing:
                add(chunk, draw(chunk.requests, generator, chunk.plan, missing))
    except Timeout:
        return


def add(chunk: Chunk, continuations: Sequence[SampledText]) -> None:
    """Write the file of a chunk again with `continuations` beside what it holds, whole or not at all."""
    earlier = _sound(chunk.file, lambda path: read(path, SampledText)) or []
    positions = {request.request_id: position for position, request in enumerate(chunk.requests)}
    rows = sorted((*earlier, *continuations), key=lambda row: (positions[row.request_id], row.number))
    write(chunk.file, SampledText, rows)


def _sound(file: Path, load: Callable[[Path], T]) -> T | None:
    """What `load` gives for a chunk's file; None where it is absent, or damaged, which is told: it is drawn again."""
    return newest_sound([file], load) if file.is_file() else None


def contents(chunks: Sequence[Chunk]) -> list[Paraphrase]:
    """The paraphrase candidates of complete chunks: for each request in turn few-shot lines, then prefixed prompts."""
    paraphrases: dict[str, list[Paraphrase]] = {}
    for chunk in chunks:
        continuations: dict[str, list[SampledText]] = {}
        for row in read(chunk.file, SampledText):
            if row.number < chunk.draws:
                continuations.setdefault(row.request_id, []).append(row)
        for request in chunk.requests:
            own = continuations[request.request_id]
            paraphrases.setdefault(request.request_id, []).extend(candidates(request, chunk.plan, own))
    return [paraphrase for group in paraphrases.values() for paraphrase in group]
