"""The value search of a published port, for comparison.

Written from the papers' equations in the order of work of EasyEdit's execute_rome and compute_z: a request at a time,
every iteration a pass of all padded rows through the whole model, with log-probabilities of every position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lib.core.records import Request
from lib.core.texts import fill
from lib.methods.locating.places import padded, place
from lib.models.architecture import hidden_of, with_hidden
from lib.models.tokens import encode

if TYPE_CHECKING:
    from lib.methods.locating.optimisation import Optimisation


def published_loop(
    model: Any, tokenizer: Any, request: Request, path: str, contexts: Sequence[str], settings: Optimisation
) -> tuple[Tensor, list[float]]:
    """v* or z* [d] of one request, and the loss of every iteration."""
    module = model.get_submodule(path)
    items = encode(
        tokenizer, [fill(context, request.prompt) for context in contexts], [[request.target_new]] * len(contexts)
    )
    rows = [[*item.prompt, *item.targets[0][:-1]] for item in items]
    positions = [place(tokenizer, request, "subject_last", context).position for context in contexts]
    bare = place(tokenizer, request, "subject_last")
    essence = tokenizer(f"{request.subject} is a").input_ids
    at_subject = len(tokenizer(str(request.subject)).input_ids) - 1
    ids, mask = padded([*rows, essence], model.device)
    at = torch.arange(len(ids), device=model.device), torch.tensor([*positions, at_subject], device=model.device)
    labels = torch.full_like(ids, -100)
    for row, item in enumerate(items):
        first = len(item.prompt) - 1
        labels[row, first : first + len(item.targets[0])] = torch.tensor(item.targets[0])
    with torch.no_grad():
        initial = _output_at(module, bare.position, lambda: model(torch.tensor([bare.ids], device=model.device)))
    delta = torch.zeros_like(initial, requires_grad=True)

    def add(module: nn.Module, inputs: Any, output: Any) -> Any:
        hidden = hidden_of(output).clone()
        hidden[at] += delta
        return with_hidden(output, hidden)

    optimizer = torch.optim.Adam([delta], lr=settings.lr)
    before: Tensor | None = None
    losses: list[float] = []
    for step in range(settings.steps):
        optimizer.zero_grad()

        handle = module.register_forward_hook(add)
        try:
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        finally:
            handle.remove()
        kl_log_p = torch.log_softmax(logits[-1, at_subject], dim=0)
        before = kl_log_p.detach().clone() if before is None else before
        log_p = torch.log_softmax(logits[:-1], dim=2)  # [contexts, t, v]
        targets = labels[:-1]
        taken = log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0] * (targets >= 0)
        nll = (-taken.sum(1) / (targets >= 0).sum(1)).mean()
        kl = nn.functional.kl_div(before[None], kl_log_p[None], log_target=True, reduction="batchmean")
        loss = nll + settings.kl * kl + settings.weight_decay * delta.norm() / initial.norm() ** 2
        losses.append(loss.item())
        if losses[-1] < settings.stop or step == settings.steps - 1:
            break
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            delta *= min(1.0, float(settings.clamp * initial.norm() / delta.norm()))
    return (initial + delta).detach(), losses


def published_key(model: Any, tokenizer: Any, request: Request, path: str, contexts: Sequence[str]) -> Tensor:
    """The mean over contexts of what enters the module at the subject's last token: [d_in]"""
    locations = [place(tokenizer, request, "subject_last", context) for context in contexts]
    ids, mask = padded([own.ids for own in locations], model.device)
    at = (
        torch.arange(len(ids), device=model.device),
        torch.tensor([own.position for own in locations], device=model.device),
    )
    entered: list[Tensor] = []
    handle = model.get_submodule(path).register_forward_pre_hook(lambda module, inputs: entered.append(inputs[0][at]))
    try:
        with torch.no_grad():
            model(input_ids=ids, attention_mask=mask, use_cache=False)
    finally:
        handle.remove()
    return entered[0].mean(0)


def _output_at(module: nn.Module, position: int, run: Callable[[], object]) -> Tensor:
    outputs: list[Tensor] = []
    handle = module.register_forward_hook(lambda module, inputs, output: outputs.append(hidden_of(output)[0, position]))
    try:
        run()
    finally:
        handle.remove()
    return outputs[0]
