"""What an adapter is trained on, in which order, and what every step has beside it, for both objectives."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Held, Section, Train
from lib.core.records import Request
from lib.edits.adapter import Adapter, target_modules
from lib.methods.context import Context
from lib.methods.training.directions import located_tokens, subject_directions
from lib.methods.training.drift import Drift, drift_of
from lib.methods.training.example import Example
from lib.methods.training.forms import Forms, FormSchedule, continuations, form_examples, forms, grouped, of_each
from lib.methods.training.kept import Kept, Subjects, chat_answers, chat_prompts, in_turns, kept_prompts
from lib.methods.training.keywords import keywords
from lib.methods.training.loop import Schedule
from lib.methods.training.masking import PublishedMasking
from lib.methods.training.objective import Objective, references, with_reference
from lib.methods.training.pairs import StoredExamples, ended, is_whole, training_items, training_rows, write_examples
from lib.methods.training.questions import QUESTIONS
from lib.methods.training.sentences import sentences
from lib.methods.training.whitening import input_moments, whitening
from lib.models.packing import Item
from lib.models.tokens import text_ids, word_parts

FORMS_LOCATED = 8
"""Forms of an edit in which the subject's tokens are looked at: the first ones, its own prompt among them."""
DIRECTIONS = 4
"""Directions for each different subject: about as many as it has tokens."""

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


def plan_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context, chats: Sequence[Item],
) -> Plan:  # fmt: skip
    """What is trained on, in which order, and what every step has beside it."""
    if context.held is not None:
        return _held(model, tokenizer, requests, settings, context, context.held, chats)
    return Plan(
        examples=published_pairs(model, tokenizer, requests, context),
        schedule=schedule_of(settings, context),
        beside=_texts(tokenizer, settings, context),
    )


def _held(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context, held: Held, chats: Sequence[Item],
) -> Plan:  # fmt: skip
    """The forms of the edits to learn, and what every step holds beside them."""
    seed, tokens, batch_size = context.train.seed, context.train.micro_batch_tokens, _number(context.train.batch_size)
    if context.most_steps is not None:
        held = held.of_edits(len(requests))
        batch_size = held.batch_size
    if not context.texts:
        raise InputError("train.objective=held: wanted plain text to hold; the dataset has none (facts.extras: [text])")
    if context.train.dpo or context.train.text or not context.train.mask_prompt:
        raise InputError("train: dpo, text and mask_prompt=false belong to the published objective; set objective")
    counts = Forms(after_text=held.prefixed, words_left_out=held.words_left_out, questions=held.questions, seed=seed)
    trained = forms(tokenizer, requests, context.paraphrases, sentences(context.texts), counts,
                    _keywords(model, requests, context, held.keywords))  # fmt: skip
    _tell(
        context, "%d forms of %d edits: what the unedited model writes after their objects", len(trained), len(requests)
    )
    after = continuations(model, tokenizer, requests, held.after_tokens, seed,
                          lambda texts, total: context.show(texts, "continuations", total))  # fmt: skip
    examples = _stored(form_examples(tokenizer, trained, after), context)
    held_data = _held_data(tokenizer, requests, context, held, chats)
    ordinary = held_data.items(tokenizer, held.moment_texts, held.text_tokens, seed)
    inputs = f"inputs of {', '.join(context.lora.targets)}"
    _tell(context, "%s at %d ordinary texts, and at the subjects", inputs, len(ordinary))
    paths = list(target_modules(model, context.lora))
    moments = input_moments(
        model, ordinary, paths, tokens, lambda batches: context.show(batches, f"{inputs} at texts", None)
    )
    located = located_tokens(tokenizer, of_each(trained, FORMS_LOCATED))
    rank = rank_for(requests, context.lora.r, model)
    directions = subject_directions(model, located, whitening(moments, held.ridge), rank, tokens,
                                    lambda batches: context.show(batches, f"{inputs} at subjects", None))  # fmt: skip
    return Plan(
        examples=examples,
        schedule=FormSchedule(
            **vars(schedule_of(settings, context))
            | {"batch_size": batch_size, "warmup": held.warmup, "beta2": held.beta2},
            groups=grouped(trained),
            plain_share=held.plain_share,
        ),
        beside=held_data.per_step(tokenizer, held, seed),
        directions=directions,
        drift=drift_of(model, directions, moments),
        drift_weight=held.drift_weight(len(requests), len(different_subjects(requests))),
    )


def _keywords(
    model: PreTrainedModel, requests: Sequence[Request], context: Context, count: int
) -> Mapping[str, Sequence[str]]:
    """Words that ask for each request, where there is an encoder that finds them."""
    if not count or context.encoder is None:
        return {}
    _tell(context, "words that ask for the edits, among the commonest of the encoder %s", context.encoder)
    return keywords(requests, context.encoder, str(model.device), count)


def _held_data(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], context: Context, held: Held,
    chats: Sequence[Item],
) -> Kept:  # fmt: skip
    """Everything that may be held."""
    subjects = Subjects.of(context.pool, requests)
    if held.contrasts and not subjects.by_fact and context.distributed.is_main:
        logging.getLogger(__name__).warning(
            "lora: no other subjects to hold the edits' templates for: the pool has no facts with a subject (own.pool, "
            "facts.pool_limit); what the edits say may spread to other subjects"
        )
    return Kept(
        prompts=kept_prompts(requests, context.neighbors, subjects, held.contrasts, context.train.seed),
        texts=context.texts,
        chats=chats,
        chat_prompts=chat_prompts(tokenizer, context.neighbors, subjects) if held.chat_prompts else [],
    )


def rank_for(requests: Sequence[Request], least: int, model: PreTrainedModel) -> int:
    """The adapter's rank: at least `least`, DIRECTIONS a subject, and no more than half of the hidden size."""
    hidden: int = model.config.get_text_config().hidden_size
    return max(least, min(DIRECTIONS * len(different_subjects(requests)), hidden // 2))


def different_subjects(requests: Sequence[Request]) -> set[str]:
    """What the edits are about: their subjects, and the prompt of an edit that names none."""
    return {request.subject or request.prompt for request in requests}


def held_chats(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, context: Context) -> Sequence[Item]:
    """The unedited model's answers to general questions, where the objective holds any."""
    if context.held is None or not context.held.chats:
        return ()
    _tell(context, "the unedited model's answers to %d chat questions", len(QUESTIONS))
    return chat_answers(model, tokenizer, QUESTIONS, context.held.chat_tokens,
                        lambda texts, total: context.show(texts, "chat answers", total))  # fmt: skip


def _tell(context: Context, message: str, *values: object) -> None:
    """Log what takes a while before the first step."""
    if context.distributed.is_main:
        logging.getLogger(__name__).info(f"lora: {message}", *values)


def published_pairs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], context: Context
) -> Sequence[Example]:
    """The published training pairs: edits, paraphrases, unedited facts."""
    train = context.train
    if train.dpo and not train.mask_prompt:
        raise InputError("train.dpo: wanted train.mask_prompt=true, since the prompt is no answer to prefer")
    if train.dpo and not any(request.target_true for request in requests):
        raise InputError("train.dpo: wanted edits with target_true (the rejected answer); none has one")
    rejected = _counterfactuals(context) if _pairs_as_published(train) else {}
    rows = training_rows(requests, context.paraphrases, context.neighbors, rejected)
    items = training_items(tokenizer, rows, train.mask_prompt, rejected=train.dpo > 0)
    if _pairs_as_published(train):
        items = (ended(item, tokenizer.eos_token_id) for item in items)
    examples = _stored((Example(item=item) for item in items), context)
    if not train.dpo:
        return examples
    if isinstance(examples, StoredExamples):
        return examples.with_references(references(model, examples, train.micro_batch_tokens))
    return with_reference(model, examples, train.micro_batch_tokens)


def _pairs_as_published(train: Train) -> bool:
    """Whether DPO's pairs are the release's: of neighbors as well, and with the end of text."""
    return train.dpo > 0 and train.dpo_pairs == "published"


def _counterfactuals(context: Context) -> dict[str, str]:
    """By fact_id the object that a neighbor's record has beside its own.

    Raises InputError where there are neighbors, and none has one.
    """
    ids = {neighbor.fact_id for neighbor in context.neighbors}
    objects = {fact.fact_id: fact.target_new for fact in context.pool if fact.fact_id in ids and fact.target_new}
    if ids and not objects:
        raise InputError(
            "train.dpo_pairs=published: wanted neighbors whose record names another object, as CounterFact's and "
            "ZsRE's do; found none. Set train.dpo_pairs=corrected, or neighbors.kind=none"
        )
    return objects


def _stored(examples: Iterable[Example], context: Context) -> Sequence[Example]:
    """The examples in the folder of the checkpoints, where there is one, else in memory."""
    if context.checkpoints is None:
        return list(examples)
    folder = context.checkpoints.folder / "pairs"
    if context.distributed.is_main and not is_whole(folder):
        write_examples(folder, examples)
    context.distributed.barrier()
    return StoredExamples.of(folder)


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
        masking=published if train.masking == "published" else None, ends=int(_pairs_as_published(train)),
        word_parts=None if parts is None else parts.to(model.device),
    )  # fmt: skip


def _texts(tokenizer: PreTrainedTokenizerBase, settings: Settings, context: Context) -> Beside:
    """The pieces of plain text of every step: other ones each time, drawn with the training seed."""
    if not context.train.text:
        return lambda step: []
    if not context.texts:
        raise InputError("train.text: wanted plain text to train on; the dataset has none (data/facts/text.parquet)")
    pieces = [ids[: settings.text_tokens] for ids in text_ids(tokenizer, list(context.texts))]
    items = [Item(prompt=(ids[0],), targets=(tuple(ids[1:]),)) for ids in pieces if len(ids) > 1]
    draw = in_turns(items, context.train.text_examples, f"{context.train.seed}/text")
    return lambda step: [Example(item=item, text=True) for item in draw(step)]


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


def _number(value: Any) -> Any:
    if value == "auto":
        raise ValueError("train: auto must be replaced by the model preset's value before editing")
    return value
