"""Independent edits by fine-tuning that share forward passes: lib/methods/fine_tuning/loop.py for every request alone.

Every row of a forward pass belongs to one edit and computes with that edit's copy of the trained matrices. That holds
for linear modules; a whole block (norms, attention) is trained one edit at a time.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.fine_tuning.clamp import check_clamp
from lib.methods.fine_tuning.items import token_weights, training_items
from lib.methods.fine_tuning.loop import (
    BASELINE,
    Tuning,
    Values,
    Variant,
    copies,
    edit_of,
    fine_tuned,
    finite,
    keep_near,
)
from lib.models.check import packed_for
from lib.models.hooks import hooked
from lib.models.likelihood import token_nll
from lib.models.packing import Item, batches, side_by_side


def fine_tuned_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Tuning,
    context: Context,
    *,
    weight_decay: float = 0.0,
    clamp: float | None = None,
    variant: Variant = BASELINE,
    items: Sequence[Item] | None = None,
) -> list[Edit]:
    """What `fine_tuned` makes of every request alone, to float tolerance. Raises as it does.

    `items` are the requests as they are trained on, where an editor has them in a form of its own; of module mlp_out.
    """
    if settings.module != "mlp_out" or variant != BASELINE:
        return [
            fine_tuned(
                model, tokenizer, [request], settings, context.of([request]), weight_decay=weight_decay, clamp=clamp,
                variant=variant,
            )
            for request in requests
        ]  # fmt: skip
    values = [copies(model, settings) for _ in requests]
    before = copies(model, settings)
    check_clamp(model, before, clamp)
    optimizers = [torch.optim.Adam(value.values(), lr=settings.lr, weight_decay=weight_decay) for value in values]
    items = training_items(tokenizer, requests, settings) if items is None else items
    active = list(range(len(requests)))
    for _ in context.progress(range(settings.epochs)):
        stepped: list[int] = []
        for part in batches([items[index] for index in active], context.train.micro_batch_tokens):
            batch = [active[index_in_active] for index_in_active in part]
            losses = _backward(model, [values[index] for index in batch], [items[index] for index in batch])
            for index, loss in zip(batch, losses, strict=True):
                if loss < settings.min_loss:
                    continue  # its only batch, so its last epoch
                optimizers[index].step()
                if clamp is not None:
                    keep_near(values[index], before, clamp)
                stepped.append(index)
        if not (active := stepped):
            break
    return [edit_of(model, value) for value in values]


def size_each(model: PreTrainedModel, settings: Tuning, context: Context) -> int:
    """Trained values of one edit."""
    return sum(value.numel() for value in copies(model, settings).values())


def _backward(model: PreTrainedModel, values: Sequence[Values], items: Sequence[Item]) -> list[float]:
    """Give every edit's values the gradient of its own loss; return the losses."""
    packings = [packed_for(model, [item]) for item in items]
    rows = [number for number, packed in enumerate(packings) for _ in range(len(packed.item))]
    with _computing_with(model, [values[number] for number in rows]):
        nll = token_nll(model, side_by_side(packings))
    weighted = nll * torch.cat([token_weights([item], 1, nll) for item in items])
    losses = [part.sum() for part in torch.split(weighted, [len(packed.label) for packed in packings])]
    amounts = [finite(loss.item()) for loss in losses]
    leaves = [leaf for value in values for leaf in value.values()]
    for leaf, gradient in zip(leaves, torch.autograd.grad(torch.stack(losses).sum(), leaves), strict=True):
        leaf.grad = gradient
    return amounts


@contextmanager
def _computing_with(model: nn.Module, values: Sequence[Values]) -> Iterator[None]:
    """Within it, row i of a forward pass computes with values[i]."""
    with ExitStack() as stack:
        for module in dict.fromkeys(path.rpartition(".")[0] for path in values[0]):
            weights = torch.stack([value[f"{module}.weight"] for value in values])
            has_bias = f"{module}.bias" in values[0]
            biases = torch.stack([value[f"{module}.bias"] for value in values]) if has_bias else None
            stack.enter_context(_by_row(model.get_submodule(module), weights, biases))
        yield


def _by_row(module: nn.Module, weights: Tensor, biases: Tensor | None) -> AbstractContextManager[None]:
    """Within it, `module` maps row i of its input [b, t, d_in] with weights[i] (as it stores its own) and biases[i]."""
    turned = weights if isinstance(module, Conv1D) else weights.mT  # [b, d_in, d_out]

    def replace(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        mapped = inputs[0] @ turned.to(output.dtype)
        return mapped if biases is None else mapped + biases[:, None].to(output.dtype)

    return hooked(module, replace)
