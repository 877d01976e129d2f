"""Many adapters trained at once, each on its own examples, with the result of training them one at a time.

Every row of a forward pass belongs to one adapter and computes with that one alone; every adapter has an optimizer,
a schedule and a clipped gradient of its own. So the edits share the model's arithmetic and nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from lib.core.errors import NotFiniteError
from lib.edits.adapter import Adapter
from lib.edits.apply import Gate, applied_by_row
from lib.methods.training.example import Example
from lib.methods.training.holding import token_losses
from lib.methods.training.loop import Schedule, descend
from lib.methods.training.objective import Objective, holds
from lib.models.check import packed_for
from lib.models.likelihood import token_nll
from lib.models.packing import batches, side_by_side


def train_each(
    model: nn.Module,
    adapters: Sequence[Adapter],
    examples: Sequence[Sequence[Example]],
    schedule: Schedule,
    objective: Objective,
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> None:
    """Train every adapter in place on its own examples.

    Equal to loop.train on one after another, to float tolerance. Raises ValueError where one has no example;
    NotFiniteError where a loss is not finite.
    """
    if not all(examples):
        raise ValueError("training: wanted at least one pair of prompt and target for every edit")
    optimizers = [schedule.optimizer(adapter.parameters()) for adapter in adapters]
    totals = [schedule.steps(len(own_examples)) for own_examples in examples]
    for step in progress(range(max(totals))):
        active = [index for index, total in enumerate(totals) if step < total]
        batch = {index: [examples[index][k] for k in schedule.batch(step, len(examples[index]))] for index in active}
        for index in active:
            optimizers[index].zero_grad(set_to_none=False)
        for part in _parts(batch, schedule.micro_batch_tokens):
            trained = [parameter for index in part for parameter in adapters[index].parameters()]
            _loss(model, adapters, part, batch, objective).backward(inputs=trained)  # type: ignore[no-untyped-call]
        for index in active:
            descend(adapters[index].parameters(), optimizers[index], schedule.rate(step, totals[index]), schedule)


Share = dict[int, list[Example]]
"""Examples by adapter."""


def _parts(batch: Share, micro_batch_tokens: int) -> Iterator[Share]:
    """`batch` cut into forward passes of at most about `micro_batch_tokens` tokens."""
    flat = [
        (index, example)
        for index, own_examples in batch.items()
        for example in sorted(own_examples, key=lambda example: -example.length)
    ]
    for cut in batches([example for _, example in flat], micro_batch_tokens):
        part: Share = {}
        for number in cut:
            part.setdefault(flat[number][0], []).append(flat[number][1])
        yield part


def _loss(model: nn.Module, adapters: Sequence[Adapter], part: Share, batch: Share, objective: Objective) -> Tensor:
    """The sum of every adapter's own loss: the gradient of each is that of its own."""
    packings = [packed_for(model, [example.item for example in share], share=True) for share in part.values()]
    together, gate, rows = side_by_side(packings), Gate(), [len(packed.item) for packed in packings]
    with applied_by_row(model, [adapters[index].factors() for index in part], rows, adapters[0].scale, gate):
        if any(holds(examples) for examples in batch.values()):
            flat = [example for share in part.values() for example in share]
            nll, divergence = token_losses(model, together, flat, gate, objective.word_parts)
        else:
            nll = token_nll(model, together)
            divergence = torch.zeros_like(nll)
    losses, start = [], 0
    for (index, share), packed in zip(part.items(), packings, strict=True):
        own = slice(start, start + len(packed.label))
        losses.append(objective.weigh(nll[own], packed, share, batch[index]))
        losses.append(objective.weigh_held(divergence[own], share, batch[index]))
        start = own.stop
    loss = torch.stack(losses).sum()
    if not bool(loss.isfinite()):
        raise NotFiniteError("the loss of an edit is not finite; lower train.lr")
    return loss
