"""What an edit must leave alone, as a term of the loss: KL(p0 || p) to the unedited model at chosen tokens.

With p0 the unedited model and p the one being trained, both over the whole vocabulary and in float32:

    KL(p0 || p) = sum over v of p0(v) (log p0(v) - log p(v))                                          nats

The unedited model's side is computed in a pass over the same tokens, the adapter's gate closed; edits that are each
made alone read it once (unedited.py). "Learning without Forgetting" (arXiv 1606.09282) holds a network to its own
earlier answers in this way.

In a sequential run the edits of the batches before stand behind a gate of their own: with both gates closed p0 is the
unedited model's. The objects of those edits are held to the model that has them: the adapter's gate alone is closed.

Right after an object p0 is taken without the tokens that would make its last word longer, and renormalized: the
unedited model, which does not know the object, would write "Strandberg" for "Strand".
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.edits.apply import Gate
from lib.methods.training.example import Example
from lib.methods.training.unedited import HeldStates
from lib.models.check import packed_for
from lib.models.distributions import kl_divergence, log_probabilities
from lib.models.likelihood import HEAD_CHUNK, hidden_states
from lib.models.packing import Packed

EXCLUDED = -1e4
"""Logit of a token that may not follow: its probability is 0 in float32, its logarithm finite."""


def token_losses(
    model: nn.Module, packed: Packed, examples: Sequence[Example], gate: Gate, word_parts: Tensor | None = None,
    earlier: Gate | None = None, states: HeldStates | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """-log p of every trained token and KL(p0 || p) at every held one, each [n] float32 and 0 at the others' places.

    Args:
        packed: the items of `examples`, in their order.
        gate: the adapter's, which gradients reach.
        word_parts: [v] bool on the model's device, the tokens that would go on with a word; None = p0 is taken as it is
            everywhere.
        earlier: of edits that the model has; p0 is without them, but for the examples that hold their objects.
        states: p0's, which steps share where the model has no edits.
    """
    held = held_tokens(examples).to(packed.label.device)
    references = _references(model, packed, examples, held, gate, earlier, states)
    hidden = hidden_states(model, packed)
    head: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    nll = hidden.new_zeros(len(held), dtype=torch.float32)
    divergence = hidden.new_zeros(len(held), dtype=torch.float32)
    after_objects = held.clone()  # held, after a learned token of the same target
    after_objects[:1] = False
    after_objects[1:] &= ~held[:-1] & (packed.owner[1:] == packed.owner[:-1])
    for positions in torch.split((~held).nonzero()[:, 0], HEAD_CHUNK):
        losses = nn.functional.cross_entropy(head(hidden[positions]).float(), packed.label[positions], reduction="none")
        nll = nll.index_put((positions,), losses)
    for reference in references:
        for positions, unedited in zip(
            torch.split(reference.positions, HEAD_CHUNK), torch.split(reference.states, HEAD_CHUNK), strict=True
        ):
            with _closed(reference.gates), torch.no_grad():
                logits = head(unedited).float()  # [chunk, v]
                if word_parts is not None:
                    logits = logits.masked_fill(after_objects[positions, None] & word_parts, EXCLUDED)
                log_p0 = logits.log_softmax(-1)
            kl = kl_divergence(log_p0, log_probabilities(head, hidden[positions]))
            divergence = divergence.index_put((positions,), kl)
    return nll, divergence


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """What some of the held tokens are held to."""

    positions: Tensor
    """Their places among the target tokens: [k]."""
    states: Tensor
    """The last hidden states there, with `gates` closed: [k, d]."""
    gates: Sequence[Gate]


def _references(
    model: nn.Module, packed: Packed, examples: Sequence[Example], held: Tensor, gate: Gate, earlier: Gate | None,
    states: HeldStates | None,
) -> list[_Reference]:  # fmt: skip
    """The held tokens with the states of the model that they are held to.

    Without `states` every process makes as many passes.
    """
    if states is not None:
        return [_shared_reference(model, examples, held, gate, states)]
    if earlier is None:
        return [_reference(model, packed, held, held, [gate])]
    of_earlier = [example.group == "earlier" for example in examples]
    by_token = held.new_tensor(
        [flag for example, flag in zip(examples, of_earlier, strict=True) for _ in range(_target_tokens(example))]
    )
    references = []
    for is_earlier, gates in ((False, [gate, earlier]), (True, [gate])):
        part = [example for example, flag in zip(examples, of_earlier, strict=True) if flag == is_earlier]
        packed_part = packed_for(model, [example.item for example in part or examples[:1]], share=True)
        held_part = held_tokens(part or examples[:1]).to(held.device) & bool(part)
        references.append(_reference(model, packed_part, held_part, held & (by_token == is_earlier), gates))
    return references


def _reference(model: nn.Module, packed: Packed, held: Tensor, positions: Tensor, gates: Sequence[Gate]) -> _Reference:
    """Of the tokens of `packed` that are held; `positions` is where they stand among all: [n] bool."""
    with _closed(gates), torch.no_grad():
        states = hidden_states(model, packed)[held]
    return _Reference(positions=positions.nonzero()[:, 0], states=states, gates=gates)


def _shared_reference(
    model: nn.Module, examples: Sequence[Example], held: Tensor, gate: Gate, states: HeldStates
) -> _Reference:
    """Of all held tokens, of which the model reads those that no step has held before."""

    def read(unread: Sequence[Example]) -> Tensor:
        packed = packed_for(model, [example.item for example in unread], share=True)
        return hidden_states(model, packed)[held_tokens(unread).to(held.device)]

    with _closed([gate]), torch.no_grad():
        return _Reference(positions=held.nonzero()[:, 0], states=states.of(examples, read), gates=[gate])


@contextmanager
def _closed(gates: Sequence[Gate]) -> Iterator[None]:
    with ExitStack() as stack:
        for gate in gates:
            stack.enter_context(gate.closed())
        yield


def held_tokens(examples: Sequence[Example]) -> Tensor:
    """Which of the examples' target tokens, in the order of their packing, are held: [n] bool."""
    flags: list[bool] = []
    for example in examples:
        first, *other_targets = example.item.targets
        flags += [False] * (len(first) - example.held_tokens) + [True] * example.held_tokens
        flags += [False] * sum(map(len, other_targets))
    return torch.tensor(flags, dtype=torch.bool)


def _target_tokens(example: Example) -> int:
    return sum(map(len, example.item.targets))
