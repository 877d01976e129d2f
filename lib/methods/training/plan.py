"""What an adapter is trained on, in which order and how: what the two objectives have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Section, Train
from lib.edits.adapter import Adapter
from lib.methods.context import Context
from lib.methods.training.drift import Drift
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule
from lib.methods.training.masking import PublishedMasking
from lib.methods.training.objective import Objective
from lib.methods.training.pairs import StoredExamples, is_whole, write_examples
from lib.models.tokens import word_parts

Beside = Callable[[int], Sequence[Example]]
"""The examples that a step has beside the schedule's."""


class Settings(Section):
    """configs/editors/lora.yaml"""

    weight_decay: float = Field(ge=0, description="of AdamW")
    max_grad_norm: float = Field(gt=0, description="gradients are scaled down to this norm")
    text_tokens: int = Field(ge=2, description="length of a piece of plain text, in tokens, where train.text is not 0")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an adapter is trained on, in which order, and how."""

    examples: Sequence[Example]
    schedule: Schedule
    beside: Beside
    directions: Mapping[str, Tensor] = field(default_factory=dict)
    """A of the adapter's modules, by path, where it is fixed."""
    drift: Drift | None = None
    drift_weight: float = 0.0

    def penalty(self, adapter: Adapter) -> Callable[[], Tensor] | None:
        """What is added to the loss of every step."""
        drift = self.drift
        return None if drift is None else lambda: self.drift_weight * drift.of(adapter)


def objective_of(
    context: Context, settings: Settings, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> Objective:
    """What is minimised, as params.yaml has it."""
    train = context.train
    parts = word_parts(tokenizer, model.get_output_embeddings().weight.shape[0]) if context.held else None
    published = PublishedMasking(
        end=tokenizer.eos_token_id, masks_prompt=train.mask_prompt, text_tokens=settings.text_tokens
    )
    return Objective(
        dpo=train.dpo, beta=train.dpo_beta, text=train.text, after=_number(train.after), keep=_number(train.keep),
        masking=published if train.masking == "published" else None, ends=int(pairs_as_published(train)),
        word_parts=None if parts is None else parts.to(model.device), earlier=context.earlier.gate,
    )  # fmt: skip


def schedule_of(settings: Settings, context: Context) -> Schedule:
    train = context.train
    return Schedule(
        epochs=_number(train.epochs),
        least_steps=context.least_steps,
        lr=_number(train.lr),
        batch_size=_number(train.batch_size),
        micro_batch_tokens=train.micro_batch_tokens,
        seed=train.seed,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
    )


def stored(examples: Iterable[Example], context: Context) -> Sequence[Example]:
    """The examples in the folder of the checkpoints, where there is one, else in memory."""
    if context.checkpoints is None:
        return list(examples)
    folder = context.checkpoints.folder / "pairs"
    if context.distributed.is_main and not is_whole(folder):
        write_examples(folder, examples)
    context.distributed.barrier()
    return StoredExamples.of(folder)


def pairs_as_published(train: Train) -> bool:
    """Whether DPO's pairs are the release's: of neighbors as well, and with the end of text."""
    return train.dpo > 0 and train.dpo_pairs == "published"


def _number(value: Any) -> Any:
    """A setting that `auto` was replaced in. Raises ValueError where it was not."""
    if value == "auto":
        raise ValueError("train: auto must be replaced by the model preset's value before editing")
    return value
