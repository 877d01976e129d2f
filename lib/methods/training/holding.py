"""What an edit must leave alone, as a term of the loss: KL(p0 || p) to the unedited model at chosen tokens.

With p0 the unedited model and p the one being trained, both over the whole vocabulary and in float32:

    KL(p0 || p) = sum over v of p0(v) (log p0(v) - log p(v))                                          nats

The unedited model's side is computed in the same pass over the same tokens, the adapter's gate closed. "Learning
without Forgetting" (arXiv 1606.09282) holds a network to its own earlier answers in this way.

Right after an object p0 is taken without the tokens that would make its last word longer, and renormalized: the
unedited model, which does not know the object, would write "Strandberg" for "Strand".
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.edits.apply import Gate
from lib.methods.training.example import Example
from lib.models.likelihood import HEAD_CHUNK, hidden_states
from lib.models.packing import Packed

EXCLUDED = -1e4
"""Logit of a token that may not follow: its probability is 0 in float32, its logarithm finite."""


def token_losses(
    model: nn.Module, packed: Packed, examples: Sequence[Example], gate: Gate, word_parts: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """-log p of every trained token and KL(p0 || p) at every held one, each [n] float32 and 0 at the others' places.

    Args:
        packed: the items of `examples`, in their order.
        gate: the adapter's, which gradients reach.
        word_parts: [v] bool on the model's device, the tokens that would go on with a word; None = p0 is taken as it is
            everywhere.
    """
    held = held_tokens(examples).to(packed.label.device)
    with gate.closed(), torch.no_grad():
        unedited = hidden_states(model, packed)[held]
    hidden = hidden_states(model, packed)
    head: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    nll = hidden.new_zeros(len(held), dtype=torch.float32)
    divergence = hidden.new_zeros(len(held), dtype=torch.float32)
    trained, held_places = (~held).nonzero()[:, 0], held.nonzero()[:, 0]
    after_objects = held.clone()  # held, after a learned token of the same target
    after_objects[:1] = False
    after_objects[1:] &= ~held[:-1] & (packed.owner[1:] == packed.owner[:-1])
    for positions in torch.split(trained, HEAD_CHUNK):
        losses = nn.functional.cross_entropy(head(hidden[positions]).float(), packed.label[positions], reduction="none")
        nll = nll.index_put((positions,), losses)
    for positions, unedited_rows in zip(
        torch.split(held_places, HEAD_CHUNK), torch.split(unedited, HEAD_CHUNK), strict=True
    ):
        with gate.closed(), torch.no_grad():
            logits = head(unedited_rows).float()  # [chunk, v]
            if word_parts is not None:
                logits = logits.masked_fill(after_objects[positions, None] & word_parts, EXCLUDED)
            log_p0 = logits.log_softmax(-1)
        log_p = head(hidden[positions]).float().log_softmax(-1)
        divergence = divergence.index_put((positions,), nn.functional.kl_div(log_p, log_p0, reduction="none",
                                                                          log_target=True).sum(-1))  # fmt: skip
    return nll, divergence


def held_tokens(examples: Sequence[Example]) -> Tensor:
    """Which of the examples' target tokens, in the order of their packing, are held: [n] bool."""
    flags: list[bool] = []
    for example in examples:
        first, *other_targets = example.item.targets
        flags += [False] * (len(first) - example.held_tokens) + [True] * example.held_tokens
        flags += [False] * sum(map(len, other_targets))
    return torch.tensor(flags, dtype=torch.bool)
