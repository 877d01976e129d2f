"""Training of a network on whole streams of edits: editor rledit (arXiv 2502.05759, section 4).

A stream is a sequence of turns, each a batch of edits made on the model as the turns before have left it. With D_t the
update of turn t, that turn pays

    loss_t = sum over i = 0 .. backtracking - 1 of discount^i (edit(t-i) + locality_weight * locality(t-i))
             + penalty * |D_t|^2

    edit(j)      -log p of the new targets of turn j after another phrasing, under the model with turns 1 .. t
    locality(j)  KL(with turns 1 .. t-1 || with turns 1 .. t) where the targets of turn j's other facts are predicted

both as means over targets. The sum over the turns of a stream, minus its return in the paper's terms, is minimised: one
step of Adam a stream. As released, gradients reach the network through D_t alone: what later turns make of it counts
in no gradient.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from random import Random

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import NotFiniteError
from lib.core.records import Fact
from lib.edits.apply import Gate, applied, low_rank_branch
from lib.edits.edit import Edit, compose
from lib.edits.updates import Dense, LowRank, Update
from lib.methods.context import Context
from lib.methods.hypernets.cases import CaseSource, TrainingCase, split
from lib.methods.hypernets.losses import target_kl, target_log_p, target_nll
from lib.methods.hypernets.network import Network, save_hypernet
from lib.methods.hypernets.resuming import Validation, resume_run, save_run
from lib.methods.hypernets.turns import Rows, Turns, rows_of
from lib.models.check import packed_for
from lib.models.packing import Item, Packed, batches


class StreamLearning(Turns):
    """What a preset says of such a training."""

    streams: int = Field(ge=1, description="streams to train on, one optimiser step each")
    turns: int = Field(ge=1, description="turns of a stream")
    lr: float = Field(gt=0, description="of Adam")
    discount: float = Field(gt=0, le=1, description="weight of a turn's edits and other facts at the turn after it")
    backtracking: int = Field(ge=1, description="turns that count at every turn: itself and those before it")
    locality_weight: float = Field(ge=0, description="of the KL divergence on other facts in the loss")
    locality: int = Field(ge=1, description="other facts of an edit")
    penalty: float = Field(ge=0, description="weight of an update's squared norm in the loss")
    max_grad_norm: float = Field(gt=0, description="the gradient of a stream is scaled down to this norm")
    validation: float = Field(gt=0, lt=1, description="share of the pool's facts held out for the figures")
    validation_turns: int = Field(ge=1, description="turns of the held-out stream")
    seed: int = Field(description="draws initial weights, the held-out facts and the streams")


class StreamNetwork(Network):
    """A network from a turn's tokens to its updates, normalised by the tokens of all turns so far."""

    def gather(self, rows: Rows) -> None:
        """Take a turn's tokens into account."""
        raise NotImplementedError

    def forward(self, rows: Rows) -> Mapping[str, LowRank]:
        """The turn's update of every matrix; gradients reach `left`."""
        raise NotImplementedError


def learn_streams(
    editor: str, network: StreamNetwork, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
    pool: Sequence[Fact], settings: StreamLearning, context: Context, folder: Path,
) -> dict[str, float]:  # fmt: skip
    """Train `network` and write it to `folder`; return figures of the training, before it and after it.

    Goes on after a kill from the newest checkpoint, of a turn, with the same final bytes. Several
    processes share the losses of every turn, with the result of one up to rounding; the first one writes. Raises
    InputError where the pool is too small, NotFiniteError where a gradient is not finite.
    """
    train, held_out = (CaseSource(side) for side in split(pool, settings.validation, settings.seed))
    trainer, run = _Trainer(model, tokenizer, settings, context), _StreamRun(network, settings.lr)
    validations = resume_run(context.checkpoints, run) or [trainer.validate(network, held_out)]
    context.distributed.barrier()  # nobody writes a checkpoint before everybody has read the same one
    saved = time.monotonic()
    for step in context.progress(range(run.done, settings.streams * settings.turns)):
        number, turn = divmod(step, settings.turns)
        counted = range(max(0, turn + 1 - settings.backtracking), turn + 1)
        turns = [trainer.cases(train, f"stream {number}, turn {each}") for each in counted]
        run.stream = trainer.turn(network, run.stream, turns)
        if turn == settings.turns - 1:
            run.end_stream(settings.max_grad_norm)
        run.done += 1
        if context.checkpoints and context.distributed.is_main and context.checkpoints.due(run.done, saved):
            save_run(context.checkpoints, run, validations)
            saved = time.monotonic()
    before, after = validations[0], trainer.validate(network, held_out)
    figures = after | {f"{name}_before": value for name, value in before.items()}
    if context.distributed.is_main:
        save_hypernet(folder, network, {"editor": editor, "modules": list(network.paths), **figures})
    return {
        "steps": settings.streams,
        "facts": len(pool),
        **{f"validation_{name}": each for name, each in figures.items()},
    }


class _StreamRun:
    """A network in training, with what its next turn depends on (resuming.py)."""

    def __init__(self, network: StreamNetwork, lr: float) -> None:
        self.network, self.optimizer = network, torch.optim.Adam(network.parameters(), lr)
        self.done = 0  # turns
        self.stream = Edit(updates={})

    def end_stream(self, max_grad_norm: float) -> None:
        """One step of the optimizer; the next stream begins."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.stream = Edit(updates={})

    @property
    def beside(self) -> Mapping[str, Tensor]:
        """The gradients so far, and the updates of the stream's turns."""
        parameters = self.network.named_parameters()
        gradients = {f"gradient/{name}": each.grad for name, each in parameters if each.grad is not None}
        updates = {
            f"{factor}/{path}": tensor
            for path, update in self.stream.updates.items()
            for factor, tensor in vars(update).items()
        }
        return gradients | updates

    @beside.setter
    def beside(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.grad = tensors.get(f"gradient/{name}")
        updates: dict[str, Update] = {}
        for path in self.network.paths:
            if f"delta/{path}" in tensors:
                updates[path] = Dense(delta=tensors[f"delta/{path}"])
            elif f"left/{path}" in tensors:
                updates[path] = LowRank(left=tensors[f"left/{path}"], right=tensors[f"right/{path}"])
        self.stream = Edit(updates=updates)


class _Trainer:
    """What turns are made and judged with."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: StreamLearning, context: Context
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.distributed, self.tokens = context.distributed, context.train.micro_batch_tokens

    def cases(self, source: CaseSource, purpose: str) -> list[TrainingCase]:
        """A turn's edits, which follow from the seed and `purpose` alone."""
        random, settings = Random(f"{self.settings.seed}/{purpose}"), self.settings
        return [source.draw(self.tokenizer, random, settings.locality) for _ in range(settings.batch_size)]

    def turn(self, network: StreamNetwork, stream: Edit, turns: Sequence[Sequence[TrainingCase]]) -> Edit:
        """Make the last of `turns` on top of `stream`; add its gradients to the network's. Returns the stream with it.

        Args:
            turns: those that count: it, after those before it.

        Raises NotFiniteError where a gradient is not finite.
        """
        with applied(self.model, stream):
            updates = self._updates(network, turns[-1])
            gradients = self._gradients(updates, turns)
        if not all(bool(gradient.isfinite().all()) for gradient in gradients.values()):
            raise NotFiniteError(
                "hypernet: a stream's loss is not finite; lower rate, lr or turns in the editor's preset"
            )
        through_updates = [(update.left * gradients[path]).sum() for path, update in updates.items()]
        penalties = [self.settings.penalty * _squared_norm(update) for update in updates.values()]
        # the network's parameters alone: one of the model's may want a gradient, and must not be given any
        torch.autograd.backward([*through_updates, *penalties], inputs=list(network.parameters()))
        return _with(stream, updates)

    @torch.no_grad()
    def validate(self, network: StreamNetwork, source: CaseSource) -> Validation:
        """The losses of all edits of one held-out stream at its end, beside the unedited model; nats."""
        network, stream, turns = deepcopy(network), Edit(updates={}), []
        for turn in range(self.settings.validation_turns):
            turns.append(self.cases(source, f"validation, turn {turn}"))
            with applied(self.model, stream):
                updates = self._updates(network, turns[-1])
            stream = _with(stream, updates)
        cases = [case for turn in turns for case in turn]
        sums = torch.zeros(2, device=self.model.device)
        for packed, share in self._shares([item for case in cases for item in case.locality]):
            before = target_log_p(self.model, packed)
            with applied(self.model, stream):
                sums[1] += target_kl(before, target_log_p(self.model, packed), packed) * share
        with applied(self.model, stream):
            for packed, share in self._shares([case.rephrased for case in cases]):
                sums[0] += target_nll(self.model, packed) * share
        self.distributed.all_reduce([sums])
        edit, locality = sums.tolist()
        return {"loss": edit + self.settings.locality_weight * locality, "edit": edit, "locality": locality}

    def _updates(self, network: StreamNetwork, cases: Sequence[TrainingCase]) -> Mapping[str, LowRank]:
        items = [case.edit for case in cases]
        rows = rows_of(self.model, items, network.paths, self.settings.tokens, self.tokens)
        network.gather(rows)
        updates: Mapping[str, LowRank] = network(rows)
        return updates

    def _gradients(self, updates: Mapping[str, LowRank], turns: Sequence[Sequence[TrainingCase]]) -> dict[str, Tensor]:
        """Of the turn's losses at `left` of each update, by path; the stream before it is applied."""
        lefts = {path: update.left.detach().requires_grad_() for path, update in updates.items()}
        gate = Gate()
        with ExitStack() as stack:
            for path, update in updates.items():
                beside = LowRank(left=lefts[path], right=update.right)
                stack.enter_context(low_rank_branch(self.model.get_submodule(path), beside, gate=gate))
            for back, cases in enumerate(reversed(turns)):
                for loss in self._losses(cases, gate):
                    torch.autograd.backward(self.settings.discount**back * loss, inputs=list(lefts.values()))
        gradients = {path: torch.zeros_like(left) if left.grad is None else left.grad for path, left in lefts.items()}
        self.distributed.all_reduce(list(gradients.values()))
        return gradients

    def _losses(self, cases: Sequence[TrainingCase], gate: Gate) -> Iterator[Tensor]:
        """What adds up to edit + locality_weight * locality of this turn, a micro-batch at a time."""
        for packed, share in self._shares([case.rephrased for case in cases]):
            yield target_nll(self.model, packed) * share
        for packed, share in self._shares([item for case in cases for item in case.locality]):
            with torch.no_grad(), gate.closed():
                before = target_log_p(self.model, packed)
            divergence = target_kl(before, target_log_p(self.model, packed), packed)
            yield self.settings.locality_weight * divergence * share

    def _shares(self, items: Sequence[Item]) -> Iterator[tuple[Packed, float]]:
        """This process's items in micro-batches, and what part of all items each is."""
        own = self.distributed.shard(items)
        for indices in batches(own, self.tokens):
            yield packed_for(self.model, [own[index] for index in indices]), len(indices) / len(items)


def _squared_norm(update: LowRank) -> Tensor:
    """|left @ right|^2 without the product: []."""
    return ((update.left.T @ update.left) * (update.right @ update.right.T)).sum()


def _with(stream: Edit, updates: Mapping[str, LowRank]) -> Edit:
    """The stream with a turn's updates, which are constants from now on."""
    constants = {path: LowRank(left=each.left.detach(), right=each.right) for path, each in updates.items()}
    return compose(stream, Edit(updates=constants))
