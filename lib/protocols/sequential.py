"""How edits are applied: all at once (mass), each alone (single), or batch after batch on the same model (sequential).

Every protocol runs every editor and every regularizer; none of them leaves a trace in the model.
"""

import math
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lib.core.errors import InputError
from lib.core.files import check_hashes, newest_sound, read_json, replacing_folder, write_hashes, write_json
from lib.core.params import Protocol
from lib.core.records import Request
from lib.edits.edit import Edit, compose
from lib.edits.store import read_edit, write_edit
from lib.methods.training.loop import Step
from lib.protocols.job import UNEDITED, Job, edit_numbers, prepared

_SECONDS_BETWEEN_SAVES = 60
_KEPT_SESSIONS = 2
"""The last one, and the one before it, should the last be damaged."""
_STEPS = "steps.json"
"""Of a stored session: the training curve up to its end."""
_COUNTS = ("pairs", "neurons", "left_out")
"""What of Edit.info adds up over sessions."""


def sequential(
    job: Job, requests: Sequence[Request], protocol: Protocol, keep: Callable[[int, Edit], None],
    also: Collection[int] = (),
) -> Edit:  # fmt: skip
    """Batches of protocol.batch_size, one after another on the same model; the sum of all, finished.

    `keep` gets the finished sum at every checkpoint, at the end, and after the numbers of edits in `also`, with the
    number of edits in it. Continues after a kill from the last session that was stored, with the same result: `keep`
    then gets the checkpoints again, the others of before no more, and the training curve has all of its steps. With
    mode published the batches after the first are not edited. Raises InputError where a checkpoint is not the end of a
    batch.
    """
    marks = {*checkpoint_numbers(protocol, len(requests))}
    job = prepared(job)
    done, total, steps = _stored(job.folder, marks)
    job.context.record(steps)

    def record(new_steps: Sequence[Step]) -> None:
        steps.extend(new_steps)
        job.context.record(new_steps)

    finished: Edit | None = None
    for mark in sorted(mark for mark in marks if mark <= done):
        finished = job.finished(read_edit(_session_of(job.folder, mark)))
        keep(mark, finished)
    saved = time.monotonic()
    for start in job.context.progress(range(done, len(requests), protocol.batch_size)):
        batch = requests[start : start + protocol.batch_size]
        done = start + len(batch)
        checkpoints = job.checkpoints(job.folder / f"training-{done:08d}")
        checkpoints.folder.mkdir(exist_ok=True)
        part = job.context.of(batch, requests[:start]).part(edit_numbers(start, batch))
        context = replace(part, checkpoints=checkpoints, state=total.state, record=record)
        if protocol.mode == "corrected" or start == 0:
            total = _sum(total, job.made(batch, context, total))
        if done in marks or done in also:
            finished = job.finished(total)
            keep(done, finished)
        if job.context.distributed.is_main and (done in marks or time.monotonic() - saved > _SECONDS_BETWEEN_SAVES):
            _store(job.folder, done, total, steps)
            _drop_old(job.folder, marks)
            saved = time.monotonic()
        job.context.distributed.barrier()
        shutil.rmtree(checkpoints.folder, ignore_errors=True)
    assert finished is not None, "the end is a checkpoint"
    return finished


def _sum(total: Edit, new: Edit) -> Edit:
    """Both, with what `info` counts counted over all sessions; the rest of it is the last session's."""
    counts = {name: total.info.get(name, 0) + new.info[name] for name in _COUNTS if name in new.info}
    combined = compose(total, new)
    return replace(combined, info={**combined.info, **counts})


def applied_in_turn(protocol: Protocol) -> Protocol:
    """The protocol, but for a mass run with mode published: that is one request after another."""
    if protocol.kind != "mass" or protocol.mode == "corrected":
        return protocol
    return protocol.model_copy(update={"kind": "sequential", "mode": "corrected", "batch_size": 1, "checkpoints": []})


def session_ends(protocol: Protocol, edits: int) -> list[int]:
    """The numbers of edits after each session of a sequential run, ascending."""
    return [*range(protocol.batch_size, edits, protocol.batch_size), edits]


def checkpoint_numbers(protocol: Protocol, edits: int) -> list[int]:
    """The numbers of edits after which a sequential run is scored, the end included, ascending.

    Raises InputError where one is not the end of a batch, or beyond the last edit.
    """
    if wrong := sorted(set(protocol.checkpoints).difference(session_ends(protocol, edits))):
        raise InputError(
            f"protocol.checkpoints: {wrong[0]} is not the end of a batch; wanted multiples of protocol.batch_size "
            f"({protocol.batch_size}) below the number of edits ({edits})"
        )
    return sorted({*protocol.checkpoints, edits})


def _store(folder: Path, done: int, edit: Edit, steps: Sequence[Step]) -> None:
    with replacing_folder(_session_of(folder, done)) as unfinished:
        write_edit(edit, unfinished)
        write_json(unfinished / _STEPS, {"steps": [asdict(step) for step in steps]})
        write_hashes(unfinished)


def _drop_old(folder: Path, marks: Collection[int]) -> None:
    """Remove stored sessions but for checkpoints and the last ones: a stream of hours would fill the disk."""
    for session in _sessions(folder)[:-_KEPT_SESSIONS]:
        if session not in marks:
            shutil.rmtree(_session_of(folder, session))


def _sessions(folder: Path) -> list[int]:
    """The numbers of edits of the sessions that are kept, ascending."""
    return sorted(int(path.name.removeprefix("session-")) for path in folder.glob("session-*"))


def _session_of(folder: Path, done: int) -> Path:
    """Where the sum of so many edits is kept."""
    return folder / f"session-{done:08d}"


def _stored(folder: Path, marks: Collection[int]) -> tuple[int, Edit, list[Step]]:
    """Number of edits in the last stored session, their sum, and the steps of their training: of sessions that are
    sound, and so is every checkpoint before them."""
    numbers = _sessions(folder)
    reached = [mark for mark in sorted(marks) if numbers and mark <= numbers[-1]]
    damaged = next((mark for mark in reached if newest_sound([_session_of(folder, mark)], _sound) is None), math.inf)
    usable = [number for number in numbers if number < damaged]
    last = newest_sound([_session_of(folder, number) for number in usable], _sound)
    return last or (0, UNEDITED, [])


def _sound(session: Path) -> tuple[int, Edit, list[Step]]:
    """The number of edits of a stored session, their sum, and the steps of their training.

    Raises InputError or FileNotFoundError where a file of it is another than was written.
    """
    check_hashes(session)
    steps = [Step(**values) for values in read_json(session / _STEPS)["steps"]]
    return int(session.name.removeprefix("session-")), read_edit(session), steps
