"""Each request alone on the unedited model, or, as published, on what the ones before left of it.

Independent edits share forward passes.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from lib.core.params import Protocol
from lib.core.records import Request
from lib.edits.edit import Edit, compose
from lib.edits.regularize import regularized
from lib.methods.context import Context
from lib.methods.contract import edits_each, sizes_each
from lib.protocols.job import UNEDITED, Job, edit_numbers, prepared

_MOST_TOGETHER = 16
_MEMORY_SHARE = 1 / 8
"""Of the device's memory, for what independent edits train: values, gradients and two moments, 16 bytes a value."""


def single(job: Job, requests: Sequence[Request], together: int) -> Iterator[tuple[Request, Edit]]:
    """Every request alone on the unedited model; `together` of them share forward passes where the editor can."""
    job = prepared(job)
    for start in range(0, len(requests), together):
        batch = requests[start : start + together]
        if edits_each(job.editor):
            context = _part(job, start, batch)
            edits = job.editor.edit_each(job.model, job.tokenizer, batch, job.settings, context)
        else:
            edits = [
                job.editor.edit(job.model, job.tokenizer, [request], job.settings, _part(job, start + index, [request]))
                for index, request in enumerate(batch)
            ]
        for request, edit in zip(batch, edits, strict=True):
            yield request, job.finished(regularized(edit, job.model, job.regularize, UNEDITED, request.request_id))


def carried_on(job: Job, requests: Sequence[Request]) -> Iterator[tuple[Request, Edit]]:
    """Every request after those before it, with the sum of all so far: mode published of single edits.

    The release of arXiv 2402.11078 means to restore the model after each edit, from a state_dict that is no copy.
    """
    job = prepared(job)
    total = UNEDITED
    for index, request in enumerate(requests):
        context = replace(_part(job, index, [request]), state=total.state)
        total = compose(total, job.made([request], context, total))
        yield request, job.finished(total)


def _part(job: Job, start: int, batch: Sequence[Request]) -> Context:
    """What the editor may use for a part of the requests."""
    return replace(job.context.of(batch).part(edit_numbers(start, batch)), checkpoints=None)


def edits_together(job: Job, protocol: Protocol) -> int:
    """How many independent edits share forward passes: as set, or as fit a small share of the device's memory.

    One at a time where they would be made in turn all the same: each is then stored when it is made. Taken from the
    memory that the device has, not from what is free now: the same machine gives the same number.
    """
    if protocol.together != "auto":
        return int(protocol.together)
    if not sizes_each(job.editor):
        return _MOST_TOGETHER
    size = job.editor.size_each(job.model, job.settings, job.context)
    room = _memory(job.model.device) * _MEMORY_SHARE
    return 1 if size is None else max(1, min(_MOST_TOGETHER, int(room // (16 * size))))


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
