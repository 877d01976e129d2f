"""Conditional fine-tuning with LoRA ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078).

One editor, seven rows of the paper's tables: FT (mask_prompt false), FT+Mask, +Para, +Rand and +Sim differ in
train.mask_prompt, para.method and neighbors.kind only; + DPO is train.dpo, + Wikipedia is train.text.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from pydantic import Field

from lib.core.errors import InputError
from lib.core.params import Section
from lib.core.records import Request
from lib.edits.adapter import Adapter, new_adapter
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.training.each import train_each
from lib.methods.training.loop import Schedule, train
from lib.methods.training.objective import Example, Objective, references, with_reference
from lib.methods.training.pairs import StoredExamples, is_whole, training_items, training_triples, write_examples
from lib.models.packing import Item

SHARDED = True


class Settings(Section):
    """configs/editors/lora.yaml"""

    weight_decay: float = Field(ge=0, description="of AdamW")
    max_grad_norm: float = Field(gt=0, description="gradients are scaled down to this norm")
    text_tokens: int = Field(ge=2, description="length of a piece of plain text, in tokens, where train.text is not 0")


def edit(model: Any, tokenizer: Any, requests: Sequence[Request], settings: Settings, context: Context) -> Edit:
    """Train an adapter on edits, paraphrases and neighbors.

    Raises InputError where the model lacks a LoRA target, or a loss that is asked for has nothing to work on;
    NotFiniteError where the loss is not finite.
    """
    examples = _examples(model, tokenizer, requests, context)
    adapter = new_adapter(model, context.lora, context.train.seed)
    with adapter.attached(model):
        steps = train(
            model, adapter.parameters(), examples, _schedule(settings, context), context.distributed, context.progress,
            context.checkpoints, _objective(context), _texts(tokenizer, settings, context),
        )  # fmt: skip
    context.record(steps)
    return Edit(updates=adapter.updates(), info={"editor": "lora", "pairs": len(examples)})


def edit_each(
    model: Any, tokenizer: Any, requests: Sequence[Request], settings: Settings, context: Context
) -> list[Edit]:
    """An adapter for every request, trained on that request's pairs alone; forward passes are shared.

    Raises as `edit` does, and InputError where train.text is not 0 (every edit would need its own text).
    """
    if context.train.text:
        raise InputError("train.text: single edits are trained without plain text; set it to 0, or protocol.kind=mass")
    examples = [_examples(model, tokenizer, [one], context.of([one])) for one in requests]
    adapters: list[Adapter] = [new_adapter(model, context.lora, context.train.seed) for _ in requests]
    train_each(model, adapters, examples, _schedule(settings, context), _objective(context), context.progress)
    return [
        Edit(updates=adapter.updates(), info={"editor": "lora", "pairs": len(some)})
        for adapter, some in zip(adapters, examples, strict=True)
    ]


def size_each(model: Any, settings: Settings, context: Context) -> int:
    """Trainable values of one edit."""
    return sum(one.numel() for one in new_adapter(model, context.lora, context.train.seed).parameters())


def _examples(model: Any, tokenizer: Any, requests: Sequence[Request], context: Context) -> Sequence[Example]:
    """The training pairs: in the folder of the checkpoints, where there is one, else in memory."""
    train = context.train
    if train.dpo and not train.mask_prompt:
        raise InputError("train.dpo: wanted train.mask_prompt=true, since the prompt is no answer to prefer")
    if train.dpo and not any(request.target_true for request in requests):
        raise InputError("train.dpo: wanted edits with target_true (the rejected answer); none has one")
    triples = training_triples(requests, context.paraphrases, context.neighbors)
    items = training_items(tokenizer, triples, train.mask_prompt, rejected=train.dpo > 0)
    if context.checkpoints is None:
        examples = [Example(item=item) for item in items]
        return with_reference(model, examples, train.micro_batch_tokens) if train.dpo else examples
    folder = context.checkpoints.folder / "pairs"
    if context.distributed.is_main and not is_whole(folder):
        write_examples(folder, (Example(item=item) for item in items))
    context.distributed.barrier()
    stored = StoredExamples.of(folder)
    return stored.with_references(references(model, stored, train.micro_batch_tokens)) if train.dpo else stored


def _objective(context: Context) -> Objective:
    return Objective(dpo=context.train.dpo, beta=context.train.dpo_beta, text=context.train.text)


def _texts(tokenizer: Any, settings: Settings, context: Context) -> Callable[[int], list[Example]]:
    """The pieces of plain text of every step: other ones each time, drawn with the training seed."""
    if not context.train.text:
        return lambda step: []
    if not context.texts:
        raise InputError("train.text: wanted plain text to train on; the dataset has none (data/facts/text.parquet)")
    pieces = [tokenizer(text, truncation=True, max_length=settings.text_tokens).input_ids for text in context.texts]
    items = [Item(prompt=(ids[0],), targets=(tuple(ids[1:]),)) for ids in pieces if len(ids) > 1]
    order = Random(f"{context.train.seed}/text").sample(range(len(items)), len(items))
    count = context.train.text_examples

    def of(step: int) -> list[Example]:
        chosen = (order[(step * count + place) % len(order)] for place in range(count))
        return [Example(item=items[index], text=True) for index in chosen]

    return of


def _schedule(settings: Settings, context: Context) -> Schedule:
    train = context.train
    return Schedule(
        epochs=_number(train.epochs),
        lr=_number(train.lr),
        batch_size=_number(train.batch_size),
        micro_batch_tokens=train.micro_batch_tokens,
        seed=train.seed,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
    )


def _number(value: Any) -> Any:
    if value == "auto":
        raise InputError("train: auto must be replaced by the model preset's value before editing")
    return value
