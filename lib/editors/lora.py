"""Conditional fine-tuning with LoRA ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078).

Two objectives. `published`: seven rows of the paper's tables are this one editor: FT (mask_prompt false), FT+Mask,
+Para, +Rand and +Sim differ in train.mask_prompt, para.method and neighbors.kind only; + DPO is train.dpo, + Wikipedia
is train.text. `held`: the edits are learned in the same way, and what comes after their objects, the unedited facts,
plain text and chat answers are held to the unedited model (lib/methods/training/holding.py).
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Request
from lib.edits.adapter import Adapter, new_adapter
from lib.edits.coverage import coverage
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.training.each import train_each
from lib.methods.training.held import held_chats, held_plan
from lib.methods.training.loop import train
from lib.methods.training.objective import Objective
from lib.methods.training.plan import Plan, Settings, objective_of, schedule_of
from lib.methods.training.published import published_pairs, published_plan
from lib.methods.training.unedited import HeldStates, Unedited
from lib.models.precision import computing_in, training_dtype

NEEDS = Needs(
    edit_each=True, size_each=True, prepares=True, closes_earlier=True, sharded=True, recipe=True, seeded=True
)
__all__ = ["NEEDS", "Settings", "edit", "edit_each", "prepare", "size_each"]


def edit(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context,
) -> Edit:  # fmt: skip
    """Train an adapter on the requests.

    Raises InputError where the model lacks a LoRA target, or a loss that is asked for has nothing to work on;
    NotFiniteError where the loss is not finite.
    """
    return _edit(model, tokenizer, requests, settings, context, objective_of(context, settings, model, tokenizer))


def prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Settings, context: Context
) -> Unedited:  # fmt: skip
    """What the edits of a run share, the unedited model's chat answers first; nothing with the published objective."""
    return Unedited(chats=held_chats(model, tokenizer, context))


def _edit(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context, objective: Objective, shared: Unedited | None = None,
) -> Edit:  # fmt: skip
    """`edit`, with what it minimises, and what it shares with other edits that are each made alone."""
    if context.held is None:
        plan = published_plan(model, tokenizer, requests, settings, context)
    else:
        unedited: Unedited = context.prepared or prepare(model, tokenizer, settings, context)
        plan = held_plan(model, tokenizer, requests, settings, context, context.held, unedited.chats, shared)
        if shared is not None and not context.distributed.sharded:
            objective = replace(objective, states=HeldStates(general=shared.states))
    _tell(plan, len(requests), context)
    adapter = new_adapter(model, context.lora, context.train.seed, plan.directions)
    left_out = coverage(model, adapter.a)
    logging.getLogger(__name__).log(logging.WARNING if left_out.experts else logging.INFO, "lora: %s", left_out)
    dtype = _dtype(model, context)
    with computing_in(model, dtype), adapter.attached(model):
        steps = train(
            model, adapter.parameters(), plan.examples, plan.schedule, context.distributed, context.progress,
            context.checkpoints, objective, plan.beside, adapter.gate, plan.penalty(adapter),
            context.record,
        )  # fmt: skip
    info = {
        "editor": "lora",
        "objective": context.train.objective,
        "pairs": len(plan.examples),
        "steps": len(steps),
        "linear_left_out": round(left_out.share_left_out, 4),
        "trained_in": str(dtype or model.dtype).removeprefix("torch."),
    }
    return Edit(updates=adapter.updates(), info=info)


def _tell(plan: Plan, requests: int, context: Context) -> None:
    """Log what is trained, and how long: what `auto` came to."""
    steps, schedule = plan.schedule.steps(len(plan.examples)), plan.schedule
    rank = next((len(matrix) for matrix in plan.directions.values()), context.lora.r)
    logging.getLogger(__name__).info(
        "lora: objective %s; %d requests as %d pairs or forms: %d steps of up to %d, peak rate %g, rank %d%s",
        context.train.objective, requests, len(plan.examples), steps, schedule.batch_size, schedule.lr, rank,
        f" (more than {schedule.epochs} epochs: at least {schedule.least_steps} steps are made)"
        if steps > schedule.epochs * schedule.epoch_steps(len(plan.examples)) else "",
    )  # fmt: skip


def _dtype(model: PreTrainedModel, context: Context) -> torch.dtype | None:
    """What the frozen model computes in while it is trained beside; None = what it is in."""
    if context.held is None or context.distributed.sharded:
        return None
    return training_dtype(context.held.precision, model.device)


def edit_each(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context,
) -> list[Edit]:  # fmt: skip
    """An adapter for every request, trained on that request alone; forward passes are shared.

    With the objective held, or masking as published, they are trained one after another. Raises as `edit` does, and
    InputError where train.text is not 0: every edit would need texts of its own.
    """
    if context.train.text:
        raise InputError("train.text: single edits are trained without plain text; set it to 0, or protocol.kind=mass")
    objective = objective_of(context, settings, model, tokenizer)
    if _in_turn(context):
        return _edit_in_turn(model, tokenizer, requests, settings, context, objective)
    examples = [published_pairs(model, tokenizer, [request], context.of([request])) for request in requests]
    adapters: list[Adapter] = [new_adapter(model, context.lora, context.train.seed) for _ in requests]
    train_each(model, adapters, examples, schedule_of(settings, context), objective, context.progress)
    return [
        Edit(updates=adapter.updates(), info={"editor": "lora", "objective": "published", "pairs": len(own)})
        for adapter, own in zip(adapters, examples, strict=True)
    ]


def _edit_in_turn(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context, objective: Objective,
) -> list[Edit]:  # fmt: skip
    """One edit after another; what they hold is read of the unedited model once (where one process has all of it)."""
    shared: Unedited = context.prepared or prepare(model, tokenizer, settings, context)
    context = replace(context, prepared=shared)
    return [
        _edit(model, tokenizer, [request], settings, own_context, objective, shared)
        for request, own_context in zip(requests, _own_contexts(requests, context), strict=True)
    ]


def _in_turn(context: Context) -> bool:
    """Whether `edit_each` trains one edit after another."""
    return context.held is not None or context.train.masking == "published"


def _own_contexts(requests: Sequence[Request], context: Context) -> list[Context]:
    """What may be used for each request alone; of several, each tells which it is."""
    own = [context.of([request]) for request in requests]
    if len(requests) == 1:
        return own
    return [own_context.part(f"{number} of {len(requests)}") for number, own_context in enumerate(own, 1)]


def size_each(model: PreTrainedModel, settings: Settings, context: Context) -> int | None:
    """Trainable values of one edit; None where edits are trained one after another."""
    if _in_turn(context):
        return None
    adapter = new_adapter(model, context.lora, context.train.seed)
    return sum(parameter.numel() for parameter in adapter.parameters())
