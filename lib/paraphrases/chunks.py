"""Paraphrase candidates in chunks of edits: each a file of its own, made once, by any process on any machine.

A chunk's file is named after what it is made from, so finished ones survive a kill and serve a longer list of edits.
Processes share the work through the files alone, each making what no other is making: one that is killed leaves its
chunk to the others, and a chunk's texts do not depend on who makes it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lib.core.params import Para
from lib.core.records import Paraphrase, Request
from lib.core.tables import read, write
from lib.generation.engine import Generator
from lib.paraphrases.candidates import candidates
from lib.runtime.scratch import fingerprint

CHUNK = 128
"""Edits whose candidates are generated, and kept against a kill, together."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some edits, how their candidates are drawn, and the file that holds them when they are."""

    requests: Sequence[Request]
    para: Para
    part: Path

    @property
    def made(self) -> bool:
        """Whether its candidates are there."""
        return self.part.is_file()


def chunks_of(requests: Sequence[Request], para: Para, folder: Path) -> list[Chunk]:
    """The edits in chunks, with files in `folder`, which is one for this `para`, model and code; none without a method.

    Only the edits' ids and prompts are part of a file's name: nothing else of them decides on their candidates.
    """
    if para.method == "none" or para.n == 0:
        return []
    portions = [requests[start : start + CHUNK] for start in range(0, len(requests), CHUNK)]
    keys = [fingerprint(edits=[(one.request_id, one.prompt) for one in some]) for some in portions]
    return [
        Chunk(requests=some, para=para, part=folder / f"part-{key}.parquet")
        for some, key in zip(portions, keys, strict=True)
    ]


def make(chunks: Sequence[Chunk], generator: Generator, progress: Callable[[Sequence[Chunk]], Iterable[Chunk]]) -> None:
    """Return when every chunk is made, here or by another process on the same files."""
    for wait in (False, True):
        for chunk in progress(missing) if (missing := [one for one in chunks if not one.made]) else ():
            _make(chunk, generator, wait)


def _make(chunk: Chunk, generator: Generator, wait: bool) -> None:
    """Make a chunk, unless it is there; where another process is making it, leave it alone or wait for it."""
    try:
        with FileLock(f"{chunk.part}.lock", timeout=-1 if wait else 0):
            if not chunk.made:
                store(chunk, candidates(chunk.requests, generator, chunk.para))
    except Timeout:
        return


def store(chunk: Chunk, found: Sequence[Paraphrase]) -> None:
    """Write a chunk's candidates, whole or not at all."""
    write(chunk.part, Paraphrase, found)


def contents(chunks: Sequence[Chunk]) -> list[Paraphrase]:
    """The candidates of all chunks, in their order."""
    return [one for chunk in chunks for one in read(chunk.part, Paraphrase)]
