"""Full fine-tuning of chosen parameters: the loop behind editors ft, ft_l and ft_w.

The baselines of ROME and MEMIT (arXiv 2202.05262 appendix E, 2210.07229 appendix B): Adam on the weights and biases of
one module, the requests in batches in the order given. The model's own parameters are never written to: it computes
with copies, in float32, for as long as a forward pass takes.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError, NotFiniteError
from lib.core.params import Auto, Section
from lib.core.records import Request
from lib.edits.apply import own_orientation, shape_of
from lib.edits.edit import Edit
from lib.edits.updates import Dense, Update, Vector, check_finite
from lib.methods.context import Context
from lib.methods.fine_tuning.clamp import check_clamp
from lib.methods.fine_tuning.items import training_items, weights_in_batch
from lib.methods.training.loop import Step, resume_steps, save_steps
from lib.methods.training.pairs import training_items as pair_items
from lib.methods.training.pairs import training_rows
from lib.models.architecture import architecture
from lib.models.check import packed_for
from lib.models.likelihood import token_nll
from lib.models.packing import Item, Packed, batches

Values = dict[str, Tensor]
"""Parameters being trained, by parameter path, each in the orientation that its module stores it in; float32."""


class Tuning(Section):
    """What the presets of the fine-tuning baselines share."""

    module: Literal["mlp_out", "block", "all"] = Field(
        description="what is trained in a layer: the MLP's down projection, or the whole block; all: every parameter "
        "of the model, in whatever layer"
    )
    layers: list[int] | Auto = Field(description="layers, counted from 0; auto: one, by depth; not of module all")
    depth: float = Field(ge=0, lt=1, description="which layer auto takes: this share of the layers lies before it")
    objective: Literal["corrected", "published", "sentence"] = Field(
        description="corrected: teacher-forced likelihood of the target; published: every target token is predicted "
        "from the last prompt token, as in the releases of ROME and MEMIT; sentence: likelihood of prompt and target, "
        "equation 1 of arXiv 2402.11078"
    )
    epochs: int = Field(ge=1, description="passes over all requests, at most")
    lr: float = Field(gt=0, description="of Adam, constant")
    batch_size: int = Field(ge=1, description="requests of a step, in the order given")
    min_loss: float = Field(ge=0, description="nats; a batch below it takes no step, an epoch below it is the last")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What sets the paper's full fine-tuning (arXiv 2402.11078, single editing) apart from the baselines."""

    with_pairs: bool = False
    """Paraphrases and neighbors are trained on too, and the loss is the mean over all target tokens of a batch."""
    decoupled: bool = False
    """AdamW's weight decay in place of Adam's."""
    dropout_seed: int | None = None
    """The model's own dropout is on, and this seeds it; None: it is off."""
    shuffle_seed: int | None = None
    """Every epoch takes the items in an order of its own, drawn with this; None: in the order given."""


BASELINE = Variant()


def fine_tuned(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Tuning,
    context: Context,
    *,
    weight_decay: float = 0.0,
    clamp: float | None = None,
    variant: Variant = BASELINE,
) -> Edit:
    """The edit that training on `requests` makes.

    `weight_decay` is Adam's (added to the gradient); `clamp` is the furthest that an entry may move from where it was.
    Raises ValueError without a request or for a parameter that an Edit cannot hold; InputError where the model has no
    such layer; NotFiniteError where the loss is not finite.
    """
    if not requests:
        raise ValueError("fine-tuning: wanted at least one request, found none")
    values = copies(model, settings)
    check_clamp(model, values, clamp)
    if variant.with_pairs:
        items = _pairs(tokenizer, requests, settings, context)
    else:
        items = training_items(tokenizer, requests, settings)
    with _dropping(model, variant.dropout_seed):
        context.record(fit(model, values, items, settings, context, weight_decay, clamp, variant))
    return edit_of(model, values)


def _pairs(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Tuning, context: Context
) -> list[Item]:
    """The requests, their paraphrases and their neighbors. Raises InputError for an objective that pairs lack."""
    if settings.objective == "published":
        raise InputError("objective: published is of requests alone; with pairs wanted corrected or sentence")
    rows = training_rows(requests, context.paraphrases, context.neighbors)
    return list(pair_items(tokenizer, rows, settings.objective == "corrected", rejected=False))


@contextmanager
def _dropping(model: nn.Module, seed: int | None) -> Iterator[None]:
    """Within it, the model's dropout is on and draws from `seed`, unless that is None; other draws are not touched."""
    if seed is None:
        yield
        return
    was_training, device = model.training, next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.train()
        try:
            yield
        finally:
            model.train(was_training)


def copies(model: PreTrainedModel, settings: Tuning) -> Values:
    """Copies of the parameters to train, in the model's order.

    Raises InputError where the model has no such layer.
    """
    if settings.module == "all":
        return {path: _trained(value) for path, value in model.named_parameters()}
    paths = architecture(model)
    count = paths.layers(model)
    layers = [math.floor(settings.depth * count)] if settings.layers == "auto" else settings.layers
    if wrong := [layer for layer in layers if not 0 <= layer < count]:
        raise InputError(f"layers: the model has layers 0 to {count - 1}, found {wrong[0]}")
    values: Values = {}
    for layer in layers:
        module = paths.block(layer) if settings.module == "block" else paths.mlp_out_of(layer)
        for name, value in model.get_submodule(module).named_parameters():
            values[f"{module}.{name}"] = _trained(value)
    return values


def _trained(value: Tensor) -> Tensor:
    return value.detach().to(torch.float32, copy=True).requires_grad_()


def fit(
    model: PreTrainedModel,
    values: Values,
    items: Sequence[Item],
    settings: Tuning,
    context: Context,
    weight_decay: float,
    clamp: float | None,
    variant: Variant,
) -> list[Step]:
    """Train `values` in place on `items`, with an optimizer of their own; one Step a batch.

    After a kill it goes on from an epoch's end, beside context.checkpoints. With dropout, whose draws are not kept, and
    of all parameters, which take as long to write as to train, it begins anew.
    """
    kind = torch.optim.AdamW if variant.decoupled else torch.optim.Adam
    optimizer = kind(values.values(), lr=settings.lr, weight_decay=weight_decay)
    before = {path: value.detach().clone() for path, value in values.items()} if clamp is not None else {}
    starts = range(0, len(items), settings.batch_size)
    random = Random(f"{variant.shuffle_seed}/fine-tuning")
    checkpoints = context.checkpoints if variant.dropout_seed is None and settings.module != "all" else None
    done = resume_steps(checkpoints, [*values.values()], optimizer) if checkpoints else []
    context.distributed.barrier()  # nobody writes a checkpoint before everybody has read the same one
    first, saved = len(done) // len(starts), time.monotonic()
    for _ in range(first if variant.shuffle_seed is not None else 0):
        items = random.sample(items, len(items))
    for epoch in context.progress(range(first, settings.epochs)):
        total = 0.0
        if variant.shuffle_seed is not None:
            items = random.sample(items, len(items))
        for index, start in enumerate(starts):
            batch = items[start : start + settings.batch_size]
            loss = _backward(model, values, batch, context, variant.with_pairs)
            if loss >= settings.min_loss:
                optimizer.step()
            if clamp is not None:
                keep_near(values, before, clamp)
            done.append(Step(step=len(done), epoch=epoch + index / len(starts), loss=loss, lr=settings.lr))
            total += loss * len(batch)
        if total / len(items) < settings.min_loss:
            break
        if checkpoints and context.distributed.is_main and checkpoints.due(len(done), saved):
            save_steps(checkpoints.folder, [*values.values()], optimizer, done)
            saved = time.monotonic()
    return done


def _backward(model: PreTrainedModel, values: Values, batch: Sequence[Item], context: Context, by_token: bool) -> float:
    """Give `values` the gradient of the batch's loss, of which this process computes its share; return that loss."""
    share = context.distributed.shard(sorted(batch, key=lambda total: -total.length))
    loss = torch.zeros((), device=model.device)
    gradients = [torch.zeros_like(value) for value in values.values()]
    for indices in batches(share, context.train.micro_batch_tokens):
        micro_batch = [share[index] for index in indices]
        nll = _nll(model, values, packed_for(model, micro_batch))
        part = (nll * weights_in_batch(micro_batch, batch, nll, by_token)).sum()
        for total, new in zip(gradients, torch.autograd.grad(part, list(values.values())), strict=True):
            total += new
        loss += part.detach()
    context.distributed.all_reduce([loss, *gradients])
    for value, gradient in zip(values.values(), gradients, strict=True):
        value.grad = gradient
    return finite(loss.item())


class _Nll(nn.Module):
    """token_nll as a module, which torch can call with other parameters than the model's own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, packed: Packed) -> Tensor:
        return token_nll(self.model, packed)


def _nll(model: nn.Module, values: Values, packed: Packed) -> Tensor:
    """-log p of every target token with `values` in place of the model's parameters: [n] float32."""
    dtype = next(model.parameters()).dtype
    swapped = {f"model.{path}": value.to(dtype) for path, value in values.items()}
    nll: Tensor = torch.func.functional_call(_Nll(model), swapped, (packed,))
    return nll


def finite(loss: float) -> float:
    """`loss`. Raises NotFiniteError where it is not finite."""
    if not math.isfinite(loss):
        raise NotFiniteError(f"fine-tuning: the loss became {loss}; lower lr in the editor's preset")
    return loss


def keep_near(values: Values, before: Mapping[str, Tensor], clamp: float) -> None:
    """Put every entry of `values` back to within `clamp` of where it was."""
    with torch.no_grad():
        for path, value in values.items():
            value.copy_(torch.clamp(value, before[path] - clamp, before[path] + clamp))


def edit_of(model: nn.Module, values: Values) -> Edit:
    """What `values` differ by from the model's parameters; of a weight that modules share, an update of each of them.

    Raises InputError where one is neither a vector nor the weight of a linear module, or has values that are not
    finite.
    """
    updates: dict[str, Update] = {}
    for path, value in values.items():
        delta = value.detach() - model.get_parameter(path).detach().float()
        module, _, name = path.rpartition(".")
        if delta.dim() == 1:
            updates[path] = Vector(shift=delta)
        elif name == "weight" and shape_of(owner := model.get_submodule(module)):
            for user in _users(model, owner):
                updates[user] = Dense(delta=own_orientation(model.get_submodule(user), delta).contiguous())
        else:
            raise ValueError(f"fine-tuning: {path} {tuple(delta.shape)} is neither a vector nor a linear map's weight")
    for path, update in updates.items():
        check_finite(path, update)
    return Edit(updates=updates)


def _users(model: nn.Module, owner: nn.Module) -> list[str]:
    """Paths of the modules that have `owner`'s weight: itself, and where embeddings are tied the head."""
    return [path for path, module in model.named_modules() if getattr(module, "weight", None) is owner.weight]
