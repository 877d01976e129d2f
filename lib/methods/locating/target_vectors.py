"""The values v* (ROME, arXiv 2202.05262, equation 4) and z* (MEMIT, arXiv 2210.07229, equation 16) of many requests.

A shift of a module's output at the fact's token (the subject's last) is optimised until the model says the new object:

    mean over contexts of -log p(new) per token + kl KL(after || before) on "{subject} is a" + wd |shift| / |v0|^2

(The papers write the divergence the other way round; the released code computes it so.) Adam works entry by entry, so
that requests optimised together come out as each alone; a request stops for itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import NotFiniteError
from lib.core.params import Section
from lib.core.records import Request
from lib.core.texts import fill
from lib.methods.locating.places import Token, located, padded, place
from lib.models.architecture import hidden_of, with_hidden
from lib.models.tokens import encode

_ESSENCE = "{} is a"


class Optimisation(Section):
    """How the values are found."""

    steps: int = Field(ge=1, description="iterations; the last one only measures")
    lr: float = Field(gt=0, description="of Adam")
    weight_decay: float = Field(ge=0)
    kl: float = Field(ge=0, description="weight of the KL term")
    clamp: float = Field(gt=0, description="largest norm of the shift, as a multiple of the norm of v0")
    stop: float = Field(ge=0, description="a request whose loss is below is left as it is")
    tokens: int = Field(ge=1, description="tokens per forward pass, about: bounds memory, not the result")


@dataclass(frozen=True, kw_only=True)
class Values:
    """What was found."""

    initial: Tensor  # [n, d] float32: the module's output with the bare prompt
    shift: Tensor  # [n, d]
    loss: list[list[float]]
    """Of every iteration of every request, before its step."""

    @property
    def target(self) -> Tensor:
        """v* or z*: [n, d]"""
        return self.initial + self.shift

    def report(self) -> dict[str, list[Any]]:
        """How each request's search ended: its last loss, and the number of iterations."""
        return {"loss": [round(trace[-1], 4) for trace in self.loss], "iterations": [len(trace) for trace in self.loss]}


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The token rows of some requests: for each, its contexts with the target, then the KL prompt."""

    ids: Tensor  # [b, t]
    mask: Tensor  # [b, t]
    position: Tensor  # [b]: of the token whose state is shifted
    owner: Tensor  # [b]: which request
    target_row: Tensor  # [k]: row, position and label of every target token, and 1 / (contexts * tokens of the target)
    target_position: Tensor  # [k]
    label: Tensor  # [k]
    weight: Tensor  # [k]
    kl_row: Tensor  # [n]


def target_values(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    path: str, token: Token, contexts: Sequence[str], settings: Optimisation,
) -> Values:  # fmt: skip
    """Optimise the output of the module at `path` for every request; `contexts` begin with the bare prompt.

    The model's parameters get no gradients. Raises InputError naming a request that cannot be placed (`place`);
    NotFiniteError where a loss is not finite.
    """
    a_request = max(1, settings.tokens // (32 * (len(contexts) + 1)))
    parts = [
        _optimised(
            model, _rows(tokenizer, requests[start : start + a_request], token, contexts, model.device), path, settings
        )
        for start in range(0, len(requests), a_request)
    ]
    return Values(
        initial=torch.cat([part.initial for part in parts]),
        shift=torch.cat([part.shift for part in parts]),
        loss=[trace for part in parts for trace in part.loss],
    )


def _optimised(model: PreTrainedModel, rows: _Rows, path: str, settings: Optimisation) -> Values:
    module, n = model.get_submodule(path), len(rows.kl_row)
    initial = _initial(model, module, rows, n)
    shift = torch.zeros_like(initial, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=settings.lr)
    norms = initial.norm(dim=1)
    active = torch.ones(n, dtype=torch.bool, device=shift.device)
    before: Tensor | None = None
    traces: list[list[float]] = [[] for _ in range(n)]
    for step in range(settings.steps):
        with _shifted(module, shift, rows):
            nll, kl_log_p = _log_likelihood(model, rows, n)
        before = kl_log_p.detach() if before is None else before
        kl = (kl_log_p.exp() * (kl_log_p - before)).sum(dim=1)
        loss = nll + settings.kl * kl + settings.weight_decay * _norm(shift) / norms**2
        if not bool(loss.isfinite().all()):
            raise NotFiniteError(
                f"target values: the loss became {float(loss.detach().sum())} in step {step}; "
                "lower optimisation.lr or clamp, or look whether the model is finite"
            )
        for index in active.nonzero()[:, 0].tolist():
            traces[index].append(loss[index].item())
        active = active & (loss.detach() >= settings.stop)
        if step == settings.steps - 1 or not active.any():
            break
        (shift.grad,) = torch.autograd.grad(loss[active].sum(), [shift])
        previous = shift.detach().clone()
        optimizer.step()
        with torch.no_grad():
            shift.mul_((settings.clamp * norms / shift.norm(dim=1).clamp(min=1e-30)).clamp(max=1)[:, None])
            shift.copy_(torch.where(active[:, None], shift, previous))
    return Values(initial=initial, shift=shift.detach(), loss=traces)


def _norm(shift: Tensor) -> Tensor:
    """Norm of each row, with gradient 0 where it is 0."""
    squares = (shift**2).sum(dim=1)
    return torch.where(squares > 0, squares.clamp(min=1e-30).sqrt(), squares)


def _rows(
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    token: Token,
    contexts: Sequence[str],
    device: torch.device,
) -> _Rows:
    rows: list[tuple[int, ...]] = []
    position: list[int] = []
    owner: list[int] = []
    targets: list[tuple[int, int, int, float]] = []
    kl_row: list[int] = []
    for index, request in enumerate(requests):
        for context in contexts:
            prompt = fill(context, request.prompt)
            (item,) = encode(tokenizer, [prompt], [(request.target_new,)], [request.separator])
            (target,) = item.targets
            weight = 1 / (len(contexts) * len(target))
            targets += [(len(rows), len(item.prompt) - 1 + k, label, weight) for k, label in enumerate(target)]
            rows.append((*item.prompt, *target[:-1]))
            # A tokenizer that merges the prompt's last token with the target's first leaves the prompt one token less.
            position.append(min(place(tokenizer, request, token, context).position, len(item.prompt) - 1))
            owner.append(index)
        essence = located(tokenizer, fill(_ESSENCE, request.subject or ""), len(request.subject or ""), token)
        kl_row.append(len(rows))
        rows.append(essence.ids)
        position.append(essence.position)
        owner.append(index)
    ids, mask = padded(rows, device)
    target_row, target_position, labels, weights = zip(*targets, strict=True)
    return _Rows(
        ids=ids,
        mask=mask,
        position=torch.tensor(position, device=device),
        owner=torch.tensor(owner, device=device),
        target_row=torch.tensor(target_row, device=device),
        target_position=torch.tensor(target_position, device=device),
        label=torch.tensor(labels, device=device),
        weight=torch.tensor(weights, device=device),
        kl_row=torch.tensor(kl_row, device=device),
    )


@torch.no_grad()
def _initial(model: PreTrainedModel, module: nn.Module, rows: _Rows, n: int) -> Tensor:
    """The module's output at the position of every request's first row: [n, d] float32."""
    outputs: list[Tensor] = []
    first = torch.tensor([int((rows.owner == index).nonzero()[0]) for index in range(n)], device=rows.ids.device)
    handle = module.register_forward_hook(
        lambda module, inputs, output: outputs.append(hidden_of(output)[first, rows.position[first]])
    )
    try:
        model.base_model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False)
    finally:
        handle.remove()
    return outputs[0].float()


@contextmanager
def _shifted(module: nn.Module, shift: Tensor, rows: _Rows) -> Iterator[None]:
    """Within it, the module's output has the owner's shift added at the position of every row."""
    row_numbers = torch.arange(len(rows.owner), device=rows.ids.device)

    def add(module: nn.Module, inputs: Any, output: Any) -> Any:
        hidden = hidden_of(output)
        moved = hidden.clone()
        moved[row_numbers, rows.position] = hidden[row_numbers, rows.position] + shift[rows.owner].to(hidden.dtype)
        return with_hidden(output, moved)

    handle = module.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _log_likelihood(model: PreTrainedModel, rows: _Rows, n: int) -> tuple[Tensor, Tensor]:
    """[n]: mean over contexts of -log p per target token; [n, v]: log p after the KL prompt's position."""
    hidden = model.base_model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).last_hidden_state
    head = model.get_output_embeddings()
    log_p = head(hidden[rows.target_row, rows.target_position]).float().log_softmax(-1)
    nll = -log_p.gather(1, rows.label[:, None])[:, 0] * rows.weight
    total = nll.new_zeros(n).index_add_(0, rows.owner[rows.target_row], nll)
    return total, head(hidden[rows.kl_row, rows.position[rows.kl_row]]).float().log_softmax(-1)
