"""Conditional fine-tuning with LoRA ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078).

One editor, five rows of the paper's tables: FT (mask_prompt false), FT+Mask, +Para, +Rand and +Sim differ in
train.mask_prompt, para.method and neighbors.kind only.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from lib.edit import Edit
from lib.editors import Context
from lib.encoding import encode
from lib.lora import new_adapter
from lib.pairs import training_pairs, unmasked
from lib.params import Section
from lib.records import Request
from lib.training import Schedule, train


class Settings(Section):
    """configs/editors/lora.yaml"""

    weight_decay: float = Field(ge=0, description="of AdamW")
    max_grad_norm: float = Field(gt=0, description="gradients are scaled down to this norm")


def edit(model: Any, tokenizer: Any, requests: Sequence[Request], settings: Settings, context: Context) -> Edit:
    """Train an adapter on edits, paraphrases and neighbors.

    Raises ValueError where the model lacks a LoRA target; FloatingPointError where the loss is not finite.
    """
    pairs = training_pairs(requests, context.paraphrases, context.neighbors)
    items = encode(tokenizer, [prompt for prompt, _ in pairs], [(target,) for _, target in pairs])
    if not context.train.mask_prompt:
        items = [unmasked(item) for item in items]
    adapter = new_adapter(model, context.lora, context.train.seed)
    schedule = Schedule(
        epochs=_number(context.train.epochs),
        lr=_number(context.train.lr),
        batch_size=_number(context.train.batch_size),
        micro_tokens=context.train.micro_tokens,
        seed=context.train.seed,
        **settings.model_dump(),
    )
    with adapter.attached(model):
        steps = train(
            model, adapter.parameters(), items, schedule, context.world, context.progress, context.checkpoints
        )
    context.record(steps)
    return Edit(updates=adapter.updates(), info={"editor": "lora", "pairs": len(pairs)})


def _number(value: Any) -> Any:
    if value == "auto":
        raise ValueError("train: auto must be replaced by the model preset's value before editing")
    return value
