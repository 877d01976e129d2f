"""The training loss of conditional fine-tuning, the terms that the paper tries beside it, and what is held.

With p the model being trained, p0 the unedited one, and shares a (dpo) and g (text) of a batch's loss:

    conditional   mean over learned target tokens of -log p(token | prompt, tokens before)   arXiv 2402.11078, section 3
    DPO           mean over edits of -log sigmoid(beta (log p/p0 (new) - log p/p0 (true)))      arXiv 2305.18290
    text          mean over tokens of plain text of -log p
    after         mean of KL(p0 || p) over the tokens that follow the edits' objects                     (holding.py)
    keep          the same over prompts of unedited facts, over plain text and over chat answers, each a mean; their sum
    loss          (1 - g) ((1 - a) conditional + a DPO) + g text + w_after after + w_keep keep

With both weights 0 this is the published objective.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lib.edits.apply import Gate
from lib.methods.training.example import Example, Group
from lib.methods.training.holding import token_losses
from lib.methods.training.masking import PublishedMasking
from lib.methods.training.unedited import HeldStates
from lib.models.check import packed_for
from lib.models.likelihood import score_targets, token_nll
from lib.models.packing import Packed, batches


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is minimised, as shares of a global batch's loss."""

    dpo: float = 0.0
    beta: float = 0.5
    text: float = 0.0
    after: float = 0.0
    """Weight of the KL at the tokens after the edits' objects."""
    keep: float = 0.0
    """Weight of the KL on everything else that is held."""
    masking: PublishedMasking | None = None
    """The release's choice of tokens, with neither DPO nor anything held; None: the targets' tokens, and the texts'."""
    ends: int = 0
    """The last so many tokens of every fact's targets count in DPO alone: the end of text, as published."""
    word_parts: Tensor | None = None
    """[v] bool: the tokens that would make an object's last word longer (holding.py)."""
    earlier: Gate | None = None
    """Of the edits that a sequential run has made before, which all but their own group is held without."""
    states: HeldStates | None = None
    """Of the unedited model, which the steps share where the model has no edits; None: each step reads its own."""

    def loss(
        self, model: nn.Module, share: Sequence[Example], batch: Sequence[Example], gate: Gate | None = None
    ) -> Tensor:
        """What `share`, a part of the global `batch`, adds to the batch's loss: a scalar, float32, in nats.

        `gate` is the adapter's; without one nothing can be held.
        """
        if self.masking is not None:
            return self.masking.loss(model, share, batch, self.text)
        packed = packed_for(model, [example.item for example in share], share=True)
        if gate is None or not holds(batch):  # of the whole batch: all processes take the same passes
            return self.weigh(token_nll(model, packed), packed, share, batch)
        nll, divergence = token_losses(model, packed, share, gate, self.word_parts, self.earlier, self.states)
        return self.weigh(nll, packed, share, batch) + self.weigh_held(divergence, share, batch)

    def cut(self, share: Sequence[Example], batch: Sequence[Example], tokens: int) -> list[list[int]]:
        """Indices of `share`, a part of the global `batch`, in forward passes of at most `tokens` tokens."""
        return batches(share, tokens) if self.masking is None else self.masking.cut(share, batch, tokens)

    def weigh_held(self, divergence: Tensor, share: Sequence[Example], batch: Sequence[Example]) -> Tensor:
        """The part of `loss` that holds, from the KL at every packed target token (0 at those that are learned)."""
        totals = Counter[Group]()
        for example in batch:
            totals[example.group] += example.held_tokens
        weights: list[float] = []
        for example in share:
            weight = (self.after if example.group == "after" else self.keep) / max(1, totals[example.group])
            weights += [weight] * sum(map(len, example.item.targets))
        return (divergence * divergence.new_tensor(weights)).sum()

    def weigh(self, nll: Tensor, packed: Packed, share: Sequence[Example], batch: Sequence[Example]) -> Tensor:
        """`loss` from the -log p of every packed target token."""
        facts, texts, pairs = self._sizes(batch)
        fact_weight = (1 - self.text) * (1 - self.dpo) / max(facts, 1)
        weights: list[float] = []
        for example in share:
            unlearned = 0 if example.text else self.ends
            learned = len(example.item.targets[0]) - unlearned
            weights += [self.text / max(texts, 1) if example.text else fact_weight] * learned
            weights += [0.0] * (unlearned + sum(map(len, example.item.targets[1:])))
        loss = (nll * nll.new_tensor(weights)).sum()
        if self.dpo and pairs:
            loss = loss + (1 - self.text) * self.dpo / pairs * self._preference(nll, packed, share)
        return loss

    def _sizes(self, batch: Sequence[Example]) -> tuple[int, int, int]:
        """Learned target tokens of facts, target tokens of texts, and examples with a rejected target."""
        facts = sum(example.learned_tokens - self.ends for example in batch if not example.text)
        texts = sum(len(example.item.targets[0]) for example in batch if example.text)
        return facts, texts, sum(example.reference is not None for example in batch)

    def _preference(self, nll: Tensor, packed: Packed, share: Sequence[Example]) -> Tensor:
        """Sum of the DPO loss over the examples of `share` that have a rejected target."""
        log_p = -nll.new_zeros(packed.targets).index_add_(0, packed.owner, nll)  # log p of every target
        chosen: list[int] = []
        reference: list[float] = []
        target_index = 0
        for example in share:
            if example.reference is not None:
                chosen.append(target_index)
                reference.append(example.reference[0] - example.reference[1])
            target_index += len(example.item.targets)
        new = torch.tensor(chosen, dtype=torch.long, device=nll.device)
        margin = log_p[new] - log_p[new + 1] - nll.new_tensor(reference)
        return -nn.functional.logsigmoid(self.beta * margin).sum()


def holds(examples: Sequence[Example]) -> bool:
    """Whether an example holds a token."""
    return any(example.held_tokens for example in examples)


def references(model: nn.Module, examples: Sequence[Example], micro_batch_tokens: int) -> npt.NDArray[np.float64]:
    """log p0 of both targets of every example that has two, under `model` as it is now (adapter off): [examples, 2].

    NaN for the others.
    """
    log_p = np.full((len(examples), 2), np.nan)
    two = [index for index, example in enumerate(examples) if len(example.item.targets) == 2]
    for batch in batches(_Chosen(examples, two), micro_batch_tokens):
        packed = packed_for(model, [examples[two[number]].item for number in batch])
        log_p[[two[number] for number in batch]] = (
            -score_targets(model, packed).nll.double().cpu().numpy().reshape(-1, 2)
        )
    return log_p


@dataclass(frozen=True)
class _Chosen(Sequence[Example]):
    """Some of the examples, without a list of them."""

    examples: Sequence[Example]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.examples[self.places[index]]


def with_reference(model: nn.Module, examples: Sequence[Example], micro_batch_tokens: int) -> list[Example]:
    """`examples` with log p0 of both targets where there are two."""
    log_p = references(model, examples, micro_batch_tokens).tolist()
    return [
        replace(example, reference=(chosen, rejected)) if len(example.item.targets) == 2 else example
        for example, (chosen, rejected) in zip(examples, log_p, strict=True)
    ]
