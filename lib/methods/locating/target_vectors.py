"""The values v* (ROME, arXiv 2202.05262, equation 4) and z* (MEMIT, arXiv 2210.07229, equation 16) of many requests.

A shift of a module's output at the fact's token (the subject's last) is optimised until the model says the new object:

    mean over contexts of -log p(new) per token + kl KL(after || before) on "{subject} is a" + wd |shift| / |v0|^2

(The papers write the divergence the other way round; the released code computes it so.) Adam works entry by entry, so
that requests optimised together come out as each alone; a request stops for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import NotFiniteError
from lib.core.records import Request
from lib.methods.locating.places import Token
from lib.methods.locating.search_passes import first_pass
from lib.methods.locating.search_rows import Rows, search_rows
from lib.methods.locating.values import NOWHERE, Part, StoredValues, Values
from lib.methods.progress import Show, silently
from lib.models.distributions import kl_divergence, log_probabilities

if TYPE_CHECKING:
    from lib.methods.locating.optimisation import Optimisation


def target_values(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    path: str, token: Token, contexts: Sequence[str], settings: Optimisation, parts: Sequence[Part] = (),
    show: Show = silently, stored: StoredValues = NOWHERE,
) -> Values:  # fmt: skip
    """Optimise the output of the module at `path` for every request; `contexts` begin with the bare prompt.

    `parts` are modules whose inputs or outputs are wanted as well (`Values.states`). Requests with about as many tokens
    from the shift on share passes, whose rows are padded to the longest of them; `show` is told of every such group;
    groups that are `stored` are not searched again. The model's parameters get no gradients. Raises InputError naming a
    request that cannot be placed (`places.place`); NotFiniteError where a loss is not finite.
    """
    a_group = max(1, settings.tokens // (32 * (len(contexts) + 1)))
    tails = [search_rows(tokenizer, [request], token, contexts[:1], model.device).tail for request in requests]
    order = sorted(range(len(requests)), key=tails.__getitem__)
    in_order = [requests[number] for number in order]
    groups = [in_order[start : start + a_group] for start in range(0, len(requests), a_group)]
    rows = [search_rows(tokenizer, group, token, contexts, model.device) for group in groups]

    def values_of(index: int) -> Values:
        return stored.of(index, model.device, lambda: _optimised(model, rows[index], path, settings, parts))

    values = [values_of(index) for index in show(range(len(rows)), "groups of target vectors", None)]
    as_placed = all(rows_of_group.as_placed for rows_of_group in rows)
    return Values.joined(values, parts if as_placed else ()).back_from(order)


def _optimised(model: PreTrainedModel, rows: Rows, path: str, settings: Optimisation, parts: Sequence[Part]) -> Values:
    first = first_pass(model, rows, path, parts)
    initial, passes, n = first.initial, first.passes, len(rows.kl_row)
    shift = torch.zeros_like(initial, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=settings.lr)
    norms = initial.norm(dim=1)
    before: Tensor | None = None  # [n, v]
    active = torch.ones(n, dtype=torch.bool, device=shift.device)
    traces: list[list[float]] = [[] for _ in range(n)]
    for step in range(settings.steps):
        moved = shift[active]  # [requests that are searched still, d]
        final = passes.final(moved)
        if step == 0 and passes is not (passes := first.checked(final)):
            final = passes.final(moved)
        nll, kl_log_p = _log_likelihood(model, passes.rows, final)
        before = kl_log_p.detach() if before is None else before
        kl = kl_divergence(kl_log_p, before[active])
        loss = nll + settings.kl * kl + settings.weight_decay * _norm(moved) / norms[active] ** 2
        losses = loss.tolist()
        if not bool(loss.isfinite().all()):
            raise NotFiniteError(
                f"target values: the loss became {sum(losses)} in step {step}; "
                "lower optimisation.lr or clamp, or look whether the model is finite"
            )
        for index, value in zip(active.nonzero()[:, 0].tolist(), losses, strict=True):
            traces[index].append(value)
        goes_on = loss.detach() >= settings.stop  # of those that are searched still
        if step == settings.steps - 1 or not goes_on.any():
            break
        (shift.grad,) = torch.autograd.grad(loss[goes_on].sum(), [shift])
        if not goes_on.all():
            passes = passes.of(goes_on)
            active = active.index_put((active.nonzero()[:, 0],), goes_on)
        _step(optimizer, shift, active, settings.clamp * norms)
    return Values(initial=initial, shift=shift.detach(), loss=traces, states=first.states)


@torch.no_grad()
def _step(optimizer: torch.optim.Optimizer, shift: Tensor, active: Tensor, longest: Tensor) -> None:
    """Move the rows of `shift` that are active, and cut them to their longest norm [n]."""
    previous = shift.detach().clone()
    optimizer.step()
    shift.mul_((longest / shift.norm(dim=1).clamp(min=1e-30)).clamp(max=1)[:, None])
    shift.copy_(torch.where(active[:, None], shift, previous))


def _norm(shift: Tensor) -> Tensor:
    """Norm of each row, with gradient 0 where it is 0."""
    squares = (shift**2).sum(dim=1)
    return torch.where(squares > 0, squares.clamp(min=1e-30).sqrt(), squares)


def _log_likelihood(model: PreTrainedModel, rows: Rows, final: Tensor) -> tuple[Tensor, Tensor]:
    """[n]: mean over contexts of -log p per target token; [n, v]: log p after the KL prompts, of final states."""
    log_p = log_probabilities(model.get_output_embeddings(), final)
    k, n = len(rows.label), len(rows.kl_row)
    nll = -log_p[:k].gather(1, rows.label[:, None])[:, 0] * rows.weight
    return nll.new_zeros(n).index_add_(0, rows.owner[rows.target_row], nll), log_p[k:]
