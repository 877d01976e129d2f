"""Single edits, each scored on its own prompts, measured and dropped; their rows survive a kill, the edits do not."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lib.core.files import check_hashes, newest_sound, read_json, replacing_folder, write_hashes, write_json
from lib.core.records import Divergence, Generation, Score
from lib.core.run import progress
from lib.core.tables import read
from lib.edits.edit import Edit
from lib.edits.weight_change import Measure
from lib.protocols.job import Job
from lib.protocols.single import carried_on, single
from lib.protocols.weight_table import figures
from lib.runtime.distributed import Distributed
from lib.scoring.scorer import Scorer
from lib.scoring.tables import ScoreTables

_TABLES = {"scores": Score, "generations": Generation, "divergences": Divergence}
_FIGURES = "figures.json"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SingleEdit:
    """What is kept of an edit that was made alone."""

    tables: ScoreTables
    change: Mapping[str, Any] | None
    """Its `request_id` and the figures of all weights that it changes; None where none was measured, or changed."""
    seconds: float
    """That making it took; of edits that share forward passes the first one has the seconds of all."""


@dataclass(frozen=True, kw_only=True)
class ScoredAlone:
    """Makes, scores and measures every request's edit on the unedited model."""

    scorer: Scorer
    job: Job
    together: int
    """Requests that share forward passes while their edits are made."""
    carries_on: bool = False
    """Every edit begins where the one before ended; a run that was killed then begins anew."""
    measure: Measure
    measured: int | None
    """Of so many edits, the run's first ones, the change of the weights is measured; None is all."""
    folder: Path
    """What a run that was killed has finished is found here again."""

    def results(self) -> list[SingleEdit]:
        """Of all requests in their order; each process makes its share.

        Of a model that is spread every process has part in every request.
        """
        processes = Distributed() if self.scorer.distributed.sharded else self.scorer.distributed
        share = range(len(self.scorer.requests))[processes.rank :: processes.world_size]
        stored = {} if self.carries_on else {index: self._stored(index) for index in share}
        finished = {index: result for index, result in stored.items() if result}
        finished |= self._made(self._unfinished(share, finished))
        return [result for _, result in sorted(processes.all_gather([*finished.items()]), key=lambda pair: pair[0])]

    def _unfinished(self, share: Sequence[int], finished: Mapping[int, SingleEdit]) -> list[int]:
        """What is made again: whole groups of edits that share passes, for in other company a pass rounds otherwise."""
        groups = [share[start : start + self.together] for start in range(0, len(share), self.together)]
        return [index for group in groups if any(index not in finished for index in group) for index in group]

    def _made(self, indices: list[int]) -> dict[int, SingleEdit]:
        requests = [self.scorer.requests[index] for index in indices]
        alone = replace(self.job, context=replace(self.job.context, distributed=Distributed()))
        edits = carried_on(alone, requests) if self.carries_on else single(alone, requests, self.together)
        if self.scorer.distributed.is_main:
            edits = progress(edits, "score: single edits", total=len(indices))
        results = {}
        for index, ((_, edit), seconds) in zip(indices, _timed(edits), strict=True):
            results[index] = self._scored(index, edit, seconds)
            self._store(index, results[index])
        return results

    def _scored(self, index: int, edit: Edit, seconds: float) -> SingleEdit:
        request = self.scorer.requests[index]
        scorer = replace(
            self.scorer,
            requests=[request],
            first_index=index,
            distributed=Distributed(),
            progress=lambda batches, name: batches,
            folder=None,
        )
        change = None
        if edit.updates and (self.measured is None or index < self.measured):
            change = {"request_id": request.request_id, **figures(self.measure.of(edit).total)}
        return SingleEdit(tables=scorer.after(edit), change=change, seconds=seconds)

    def _store(self, index: int, result: SingleEdit) -> None:
        if self.scorer.distributed.sharded and not self.scorer.distributed.is_main:
            return
        with replacing_folder(self._folder_of(index)) as unfinished:
            result.tables.write(*(unfinished / f"{name}.parquet" for name in _TABLES))
            write_json(unfinished / _FIGURES, {"change": result.change, "seconds": result.seconds})
            write_hashes(unfinished)

    def _stored(self, index: int) -> SingleEdit | None:
        """What an earlier run stored of this request's edit; None where there is nothing, or it is damaged."""
        folder = self._folder_of(index)
        return newest_sound([folder], _sound) if folder.is_dir() else None

    def _folder_of(self, index: int) -> Path:
        return self.folder / f"single-{index:08d}"


def _sound(folder: Path) -> SingleEdit:
    """Raises InputError or FileNotFoundError where a file of it is another than was written."""
    check_hashes(folder)
    tables: Any = {name: read(folder / f"{name}.parquet", kind) for name, kind in _TABLES.items()}
    return SingleEdit(tables=ScoreTables(**tables), **read_json(folder / _FIGURES))


def _timed(items: Iterable[T]) -> Iterator[tuple[T, float]]:
    """Every item with the seconds until it was there."""
    began = time.perf_counter()
    for item in items:
        yield item, time.perf_counter() - began
        began = time.perf_counter()
