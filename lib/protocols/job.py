"""One editor on one model, and all requests at once (mass)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Regularize
from lib.core.records import Request
from lib.edits.apply import Gate, applied
from lib.edits.edit import Edit
from lib.edits.regularize import accumulated, regularized
from lib.methods.context import Context
from lib.methods.contract import Editor, prepares
from lib.methods.training.loop import Checkpoints


@dataclass(frozen=True, kw_only=True)
class Job:
    """One editor on one model: what stays the same from session to session."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    editor: Editor
    settings: Any
    context: Context
    regularize: Regularize
    folder: Path
    """Scratch space: finished sessions survive a kill."""

    def checkpoints(self, folder: Path) -> Checkpoints:
        """Where the training of one session is kept against a kill."""
        return Checkpoints(folder=folder, every=self.context.train.checkpoint_steps)

    def made(self, requests: Sequence[Request], context: Context, earlier: Edit) -> Edit:
        """What the editor adds for `requests` on top of `earlier`, regularized."""
        gate = Gate() if earlier.updates and self.editor.NEEDS.closes_earlier else None
        context = replace(context, earlier=replace(context.earlier, gate=gate))
        with applied(self.model, earlier, gate):
            new = self.editor.edit(self.model, self.tokenizer, requests, self.settings, context)
        session = requests[0].request_id if requests else ""
        return regularized(new, self.model, self.regularize, earlier, session)

    def finished(self, total: Edit) -> Edit:
        """What is kept and evaluated of the sum of all sessions so far; editing goes on from the sum itself."""
        return accumulated(total, self.model, self.regularize)


UNEDITED = Edit(updates={})


def prepared(job: Job) -> Job:
    """The job with what its editor makes once a run, of the unedited model; itself where that is nothing or made."""
    if not prepares(job.editor) or job.context.prepared is not None:
        return job
    shared = job.editor.prepare(job.model, job.tokenizer, job.settings, job.context)
    return replace(job, context=replace(job.context, prepared=shared))


def edit_numbers(start: int, batch: Sequence[Request]) -> str:
    """What a part of a run is called where it tells how far it is, by the places of its edits, counted from one."""
    first, last = start + 1, start + len(batch)
    return f"edit {first}" if first == last else f"edits {first} to {last}"


def mass(job: Job, requests: Sequence[Request]) -> Edit:
    """All requests in one session."""
    job = prepared(job)
    checkpoints = job.checkpoints(job.folder)
    return job.finished(job.made(requests, replace(job.context, checkpoints=checkpoints), UNEDITED))
