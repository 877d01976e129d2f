"""Regularizers of an edit, after "Model Editing Harms General Abilities" (arXiv 2401.04700), and PRUNE.

With dW the update of a matrix and W its weight before it:

    rect     keep the entries of dW with the largest |dW / W|, zero elsewhere
    random   keep a random share of the entries
    pca      keep the leading principal components of dW, transformed back (mode published: not transformed back)
    prune    lower the singular values of the accumulated update that exceed the base's largest (arXiv 2405.16821)

The first three change what each session adds. PRUNE, as published, lets sessions add up as they are and changes their
sum, which is what is kept and evaluated; editing goes on from the sum as it was.

Each works on one matrix at a time, whatever its form and whichever editor made it. Biases and other vectors, and
contexts, pass unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lib.core.params import Regularize
from lib.edits.apply import linear_weight
from lib.edits.edit import Edit
from lib.edits.singular import largest_singular_value, reweighted
from lib.edits.updates import Dense, LowRank, Matrix, Sparse, Vector, check_finite
from lib.edits.weight_change import relative_change

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Change = Callable[[Matrix, Tensor, Matrix | None, Regularize, str], Matrix]
"""(dW, weight of the unedited model, earlier update of the same matrix, settings, name) -> what is left of dW."""


def regularized(edit: Edit, model: PreTrainedModel, settings: Regularize, earlier: Edit, session: str = "") -> Edit:
    """`edit`, one session's, with every matrix's update regularized, on the device that it came on.

    A method that changes no session by itself (none, prune) gives the same edit. `model` has its unedited weights;
    `earlier` is what is in force already (sequential editing), so that W is the model's weight and `earlier` together.
    `session` is any text that tells one session of a run from the others: method random draws other entries in each.
    rect and random give sparse updates, pca dense ones. Raises InputError where a value of the edit is not finite.
    """
    if settings.method not in METHODS:
        return edit
    change = METHODS[settings.method]
    updates = dict(edit.updates)
    for path, update in edit.updates.items():
        check_finite(path, update)
        if isinstance(update, Vector):
            continue
        weight = linear_weight(model.get_submodule(path)).detach().float()
        before = earlier.updates.get(path)
        assert not isinstance(before, Vector)
        before = before.to(weight.device) if before else None
        left = change(update.to(weight.device), weight, before, settings, f"{session}/{path}")
        updates[path] = left.to(update.device)
    return replace(edit, updates=updates, info={**edit.info, "regularize": settings.model_dump()})


def accumulated(total: Edit, model: PreTrainedModel, settings: Regularize) -> Edit:
    """What is kept and evaluated of `total`, the sum of all sessions so far: with method prune, the sum pruned.

    `model` has its unedited weights. Raises InputError where the sum has a value that is not finite.
    """
    if settings.method != "prune":
        return total
    updates = dict(total.updates)
    for path, update in total.updates.items():
        check_finite(path, update)
        if not isinstance(update, Vector):
            weight = linear_weight(model.get_submodule(path)).detach()
            left = Dense(delta=pruned(update.to(weight.device), weight))
            updates[path] = left.to(update.device)
    return replace(total, updates=updates, info={**total.info, "regularize": settings.model_dump()})


def rect(update: Matrix, base: Tensor, earlier: Matrix | None, settings: Regularize, name: str) -> Matrix:
    """Keep the `keep` percent of entries with the largest |dW / W|; a zero in W makes an entry infinitely large.

    Of entries that are equally large those with the higher index are kept. An entry that dW leaves alone is smallest.
    """
    delta = update.dense().float()
    weight = base if earlier is None else base + earlier.dense()
    return _sparse(delta, largest(relative_change(delta, weight), settings.keep))


def random(update: Matrix, base: Tensor, earlier: Matrix | None, settings: Regularize, name: str) -> Matrix:
    """Keep each entry with a chance of `keep` percent, drawn on the CPU with the seed, the session and the path."""
    generator = torch.Generator().manual_seed(Random(f"{settings.seed}/{name}").getrandbits(63))
    delta = update.dense().float()
    return _sparse(delta, drawn(torch.rand(delta.shape, generator=generator), settings.keep).to(delta.device))


def pca(update: Matrix, base: Tensor, earlier: Matrix | None, settings: Regularize, name: str) -> Matrix:
    """Keep `keep` percent of the principal components, at least one, and transform back.

    As published they are not transformed back.
    """
    components = kept_count(min(update.shape), settings.keep)
    if settings.mode == "published":
        return Dense(delta=component_scores(update, components))
    return Dense(delta=principal(update, components))


METHODS: Mapping[str, Change] = {"rect": rect, "random": random, "pca": pca}


def kept_count(n: int, keep: float) -> int:
    """How many of `n` are `keep` percent, rounded up; never none."""
    return n - int(n * (1 - keep / 100))


def largest(values: Tensor, keep: float) -> Tensor:
    """A mask, true for the largest `keep` percent of `values`; of equal ones at the cut those that come last.

    The value at the cut is selected, nothing is sorted: a matrix may have 10^8 entries.
    """
    flat = values.flatten()
    count = kept_count(len(flat), keep)
    if count == len(flat):
        return torch.ones_like(values, dtype=torch.bool)
    cut = flat.kthvalue(len(flat) - count).values
    mask = flat > cut
    tied = (flat == cut).nonzero()[:, 0]
    mask[tied[len(tied) - (count - int(mask.sum())) :]] = True
    return mask.view_as(values)


def drawn(uniform: Tensor, keep: float) -> Tensor:
    """A mask, true with a chance of `keep` percent, from `uniform` draws in [0, 1)."""
    return uniform >= 1 - keep / 100


def principal(update: Matrix, components: int) -> Tensor:
    """The update [d_out, d_in] as its leading principal components say it, transformed back.

    A sample is what one input adds to all outputs: a column here, a row of the weight as GPT-2 stores it.
    """
    if isinstance(update, LowRank):
        inner = update.right.float().mean(1, keepdim=True)
        mean = update.left.float() @ inner
        centred: Matrix = LowRank(left=update.left, right=update.right.float() - inner)
    else:
        delta = update.dense().float()
        mean = delta.mean(1, keepdim=True)
        centred = Dense(delta=delta - mean)
    return mean + reweighted(centred, lambda s: (torch.arange(len(s), device=s.device) < components).to(s))


def component_scores(update: Matrix, components: int) -> Tensor:
    """The scores of the leading principal components in the first outputs, zero in the others: [d_out, d_in].

    What RECT's release takes for the update. Samples are as in `principal`; of a component the largest score is
    positive.
    """
    delta = update.dense().float()
    left, values, _ = torch.linalg.svd((delta - delta.mean(1, keepdim=True)).T, full_matrices=False)
    scores = (left * values)[:, :components]  # [d_in, components]
    signs = scores.gather(0, scores.abs().argmax(0, keepdim=True)).sign()
    result = torch.zeros_like(delta)
    result[: scores.shape[1]] = (scores * signs).T
    return result


def pruned(accumulated: Matrix, base: Tensor) -> Tensor:
    """An accumulated update [d_out, d_in] with its large singular values lowered (PRUNE, equation 8).

    Every singular value s above s_max, the largest of `base`, becomes ln s - ln s_max + s_max.
    """
    limit = largest_singular_value(base)
    return reweighted(
        accumulated, lambda s: torch.where(s > limit, ((s / limit).log() + limit) / s, torch.ones_like(s))
    )


def _sparse(delta: Tensor, mask: Tensor) -> Sparse:
    index = (mask & (delta != 0)).flatten().nonzero()[:, 0]
    return Sparse(index=index, value=delta.flatten()[index], size=torch.tensor(delta.shape, device=delta.device))
