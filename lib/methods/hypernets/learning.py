"""Training of hyper-networks: the loop behind editors mend and ke (arXiv 2110.11309, section 3.2).

A step draws cases (cases.py), lets the network make the update of each, and minimises over the cases

    loss = edit_weight * (-log p of the new target after another phrasing of the edit, under the edited model)
         + locality_weight * KL(unedited || edited) where other facts' targets are predicted

both as means over target tokens. The model itself is frozen. Adam; the weights of the lowest loss on held-out facts are
kept, and training ends when that has not improved for `patience` validations.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import NotFiniteError
from lib.core.params import Section
from lib.core.records import Fact
from lib.edits.apply import applied_by_row
from lib.methods.context import Context
from lib.methods.hypernets.cases import CaseSource, TrainingCase, split
from lib.methods.hypernets.losses import target_kl, target_log_p, target_nll
from lib.methods.hypernets.network import Hypernet, by_edit, save_hypernet, signals_of, together
from lib.methods.hypernets.resuming import resume_run, save_run
from lib.models.check import packed_for
from lib.models.packing import batches
from lib.runtime.distributed import Distributed

_LOG = logging.getLogger(__name__)


class Learning(Section):
    """What the presets of the hyper-network editors share."""

    layers: int = Field(ge=1, description="the MLP matrices of this many last layers are edited")
    steps: int = Field(ge=1, description="optimiser steps, at most")
    batch_size: int = Field(ge=1, description="cases of a step")
    lr: float = Field(gt=0, description="of Adam")
    decay: Literal["constant", "linear"] = Field(description="learning rates stay, or fall to 0 over `steps`")
    max_grad_norm: float = Field(gt=0, description="gradients are scaled down to this norm")
    edit_weight: float = Field(ge=0, description="of the new target's -log p in the loss")
    locality_weight: float = Field(ge=0, description="of the KL divergence on other facts in the loss")
    locality: int = Field(ge=1, description="other facts of a case")
    validation: float = Field(gt=0, lt=1, description="share of the pool's facts held out to choose the weights")
    validation_cases: int = Field(ge=1, description="cases drawn from them, the same every time")
    validation_steps: int = Field(ge=1, description="steps between two validations")
    patience: int = Field(ge=1, description="validations without a lower loss after which training ends")
    seed: int = Field(description="draws initial weights, the held-out facts and the cases")


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Means over cases, in nats."""

    edit: Tensor  # []
    locality: Tensor  # []

    def total(self, settings: Any) -> Tensor:
        """What is minimised."""
        total: Tensor = settings.edit_weight * self.edit + settings.locality_weight * self.locality
        return total


def learn(
    editor: str,
    network: Hypernet,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pool: Sequence[Fact],
    settings: Any,
    context: Context,
    folder: Path,
) -> dict[str, float]:
    """Train `network` and write it to `folder`; `settings` is a Learning. Returns figures of the training.

    Goes on after a kill from the newest checkpoint, with the same final bytes. Several processes share the cases of
    every step, with the result of one up to rounding; the first one writes. Raises InputError where the pool is too
    small, NotFiniteError where the loss is not finite.
    """
    train, held_out = (CaseSource(side) for side in split(pool, settings.validation, settings.seed))
    run = _Run(network, model, settings, context.train.micro_batch_tokens, context.distributed)
    cases = list(_cases(held_out, tokenizer, settings, "validation", settings.validation_cases))
    validations = resume_run(context.checkpoints, run)
    context.distributed.barrier()  # nobody writes a checkpoint before everybody has read the same one
    saved = time.monotonic()
    for step in context.progress(range(run.done, settings.steps)):
        if _finished(validations, settings):
            break
        run.step(list(_cases(train, tokenizer, settings, f"step {step}", settings.batch_size)))
        if run.done % settings.validation_steps == 0 or run.done == settings.steps:
            validations.append(run.validate(cases))
            if validations[-1]["loss"] <= min(validation["loss"] for validation in validations):
                run.beside = _copied(network)
            _LOG.info("hypernet: %s", ", ".join(f"{name} {value:.4g}" for name, value in validations[-1].items()))
        if context.checkpoints and context.distributed.is_main and context.checkpoints.due(run.done, saved):
            save_run(context.checkpoints, run, validations)
            saved = time.monotonic()
    network.load_state_dict(run.beside)
    best = min(validations, key=lambda each: each["loss"])
    if context.distributed.is_main:
        save_hypernet(folder, network, {"editor": editor, "modules": list(network.paths), **best})
    return {"steps": run.done, "best_step": best["step"], "facts": len(pool),
            **{f"validation_{name}": value for name, value in best.items() if name != "step"}}  # fmt: skip


class _Run:
    """A network in training, with all that its next step depends on."""

    def __init__(
        self, network: Hypernet, model: PreTrainedModel, settings: Any, micro_batch_tokens: int,
        distributed: Distributed,
    ) -> None:  # fmt: skip
        self.network, self.model, self.settings, self.micro_batch_tokens = network, model, settings, micro_batch_tokens
        self.distributed = network.processes = distributed
        self.optimizer = torch.optim.Adam(network.groups(settings.lr, getattr(settings, "rate_lr", settings.lr)))
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.done = 0
        self.beside: Mapping[str, Tensor] = _copied(network)  # that of the lowest held-out loss

    def step(self, cases: Sequence[TrainingCase]) -> None:
        """One step of the optimizer. Raises NotFiniteError where the loss is not finite.

        The processes share every micro-batch, not the micro-batches: the network's statistics depend on what is in one.
        """
        self.network.train()
        self.optimizer.zero_grad()
        for indices in batches(cases, self.micro_batch_tokens):
            share = [cases[index] for index in self.distributed.shard(indices)]
            if not share:
                self.network.idle()
                continue
            loss = losses(self.model, self.network, share).total(self.settings) * (len(share) / len(cases))
            if not bool(loss.isfinite()):
                raise NotFiniteError(f"hypernet: the loss became {loss.item()}; lower lr in the editor's preset")
            # the network's parameters alone: one of the model's may want a gradient, and must not be given any
            loss.backward(inputs=list(self.network.parameters()))  # type: ignore[no-untyped-call]
        self._sum_gradients()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.max_grad_norm)
        left = 1 - self.done / self.settings.steps if self.settings.decay == "linear" else 1.0
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * left
        self.optimizer.step()
        self.done += 1

    def _sum_gradients(self) -> None:
        """Give every process the gradients of all cases."""
        if self.distributed.world_size == 1:
            return
        parameters = list(self.network.parameters())
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        self.distributed.all_reduce(gradients)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    @torch.no_grad()
    def validate(self, cases: Sequence[TrainingCase]) -> dict[str, float]:
        """The losses on held-out cases, of which every process computes its share."""
        self.network.eval()
        share, device = self.distributed.shard(cases), self.model.device
        sums = torch.zeros(2)
        for indices in batches(share, self.micro_batch_tokens):
            means = losses(self.model, self.network, [share[index] for index in indices])
            sums += torch.stack([means.edit, means.locality]).cpu() * len(indices)
        of_all = sums.to(device)  # what processes with GPUs exchange lies there
        self.distributed.all_reduce([of_all])
        sums = of_all.cpu()
        edit, locality = sums / len(cases)
        total = Losses(edit=edit, locality=locality).total(self.settings)
        return {"step": self.done, "loss": total.item(), "edit": edit.item(), "locality": locality.item()}


def losses(model: PreTrainedModel, network: Hypernet, cases: Sequence[TrainingCase]) -> Losses:
    """The two losses of these cases, each edited alone; gradients reach the network."""
    weights = [1 / len(case.edit.targets[0]) for case in cases]
    edits = by_edit(network(signals_of(model, [case.edit for case in cases], network.paths, weights)))
    moved, moved_rows = together([packed_for(model, [case.rephrased]) for case in cases])
    unrelated, unrelated_rows = together([packed_for(model, case.locality) for case in cases])
    with torch.no_grad():
        before = target_log_p(model, unrelated)
    with applied_by_row(model, edits, moved_rows):
        edit = target_nll(model, moved)
    with applied_by_row(model, edits, unrelated_rows):
        after = target_log_p(model, unrelated)
    return Losses(edit=edit, locality=target_kl(before, after, unrelated))


def _cases(
    source: CaseSource, tokenizer: PreTrainedTokenizerBase, settings: Any, purpose: str, number: int
) -> Iterator[TrainingCase]:
    """Cases that follow from the seed and `what` alone."""
    random = Random(f"{settings.seed}/{purpose}")
    return (source.draw(tokenizer, random, settings.locality) for _ in range(number))


def _finished(validations: Sequence[Mapping[str, float]], settings: Any) -> bool:
    """Whether the last `patience` validations were no better than the best before them."""
    values = [validation["loss"] for validation in validations]
    return len(values) > settings.patience and min(values[-settings.patience :]) >= min(values[: -settings.patience])


def _copied(network: Hypernet) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
