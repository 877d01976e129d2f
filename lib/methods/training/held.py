"""What objective `held` trains on: forms of the edits, and what a step holds beside them (docs/objectives.md)."""

import logging
from collections.abc import Mapping, Sequence
from random import Random

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Held
from lib.core.records import Request
from lib.edits.adapter import target_modules
from lib.methods.context import Context
from lib.methods.training.directions import located_tokens, subject_directions
from lib.methods.training.drift import Drift, drift_of
from lib.methods.training.forms import Form, Forms, FormSchedule, continuations, form_examples, forms, grouped, of_each
from lib.methods.training.kept import Kept, Subjects, chat_answers, chat_prompts, kept_prompts
from lib.methods.training.keywords import keywords
from lib.methods.training.plan import Plan, Settings, schedule_of, stored
from lib.methods.training.questions import QUESTIONS
from lib.methods.training.sentences import sentences
from lib.methods.training.stored_directions import stored_directions
from lib.methods.training.unedited import Unedited
from lib.methods.training.whitening import InputMoment, input_moments, whitening
from lib.models.packing import Item

FORMS_LOCATED = 8
"""Forms of an edit in which the subject's tokens are looked at: the first ones, its own prompt among them."""
EARLIER = 1000
"""Earlier edits of a sequential run that a batch may hold, drawn anew for every batch."""
DIRECTIONS = 4
"""Directions for each different subject, where there are few: about as many as it has tokens."""
CROWDED = (
    "lora: %d subjects at once share the %d directions that this model's adapter has at most, so that an edit moves "
    "others: take batches (protocol.kind=sequential, protocol.batch_size=100)"
)


def held_plan(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context, recipe: Held, chats: Sequence[Item], shared: Unedited | None = None,
) -> Plan:  # fmt: skip
    """The forms of the edits to learn, and what every step holds beside them.

    Args:
        recipe: of the model's preset.
        chats: the unedited model's answers to general questions (`held_chats`).
        shared: with edits that are each made alone on the unedited model.

    Raises InputError where there is no plain text, or a setting belongs to the published objective.
    """
    _refuse(context)
    held, schedule, subjects = recipe, vars(schedule_of(settings, context)), len(different_subjects(requests))
    if context.most_steps is not None:
        held = recipe.of_edits(len(requests), subjects)
        schedule["batch_size"] = held.batch_size
        if not context.own_rate:
            schedule["lr"] = held.lr
    trained = _forms(model, tokenizer, requests, context, held)
    after = continuations(model, tokenizer, requests, held.after_tokens, context.train.seed,
                          lambda texts, total: context.show(texts, "continuations", total))  # fmt: skip
    examples = stored(form_examples(tokenizer, trained, after), context)
    held_data = kept_data(tokenizer, requests, context, held, chats)
    own = held_data.prompt_items(tokenizer, context.train.seed)
    general = held_data.general_items(tokenizer, held, context.train.seed)

    def find() -> tuple[dict[str, Tensor], Drift]:
        moments = _moments(model, own, general, context, shared)
        return _directions(model, tokenizer, requests, context, held, trained, moments)

    directions, drift = stored_directions(context, model.device, find)
    return Plan(
        examples=examples,
        schedule=FormSchedule(
            **schedule | {"warmup": held.warmup, "beta2": held.beta2},
            groups=grouped(trained),
            plain_share=held.plain_share,
            paraphrase_share=held.paraphrase_share,
        ),
        beside=held_data.per_step(tokenizer, held, context.train.seed),
        directions=directions,
        drift=drift,
        drift_weight=held.drift_weight(len(requests), subjects),
    )


def _refuse(context: Context) -> None:
    if not context.texts:
        raise InputError("train.objective=held: wanted plain text to hold; the dataset has none (facts.extras: [text])")
    if context.train.dpo or context.train.text or not context.train.mask_prompt:
        raise InputError("train: dpo, text and mask_prompt=false belong to the published objective; set objective")


def _forms(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], context: Context,
    held: Held,
) -> list[Form]:  # fmt: skip
    """Every edit in each of its forms."""
    counts = Forms(
        after_text=held.prefixed, words_left_out=held.words_left_out, questions=held.questions, seed=context.train.seed
    )
    own_keywords = _keywords(model, requests, context, held.keywords)
    trained = forms(tokenizer, requests, context.paraphrases, sentences(context.texts), counts, own_keywords)
    _tell(
        context, "%d forms of %d edits: what the unedited model writes after their objects", len(trained), len(requests)
    )
    return trained


def _moments(
    model: PreTrainedModel, own: Sequence[Item], general: Sequence[Item], context: Context, shared: Unedited | None
) -> Mapping[str, InputMoment]:
    """Of the adapted modules' inputs, by path: at the edits' `own` prompts and in `general`, what all edits hold."""
    paths, tokens = list(target_modules(model, context.lora)), context.train.micro_batch_tokens
    inputs = f"inputs of {', '.join(context.lora.targets)}"
    _tell(context, "%s at %d ordinary texts, and at the subjects", inputs, len(own) + len(general))

    def read(items: Sequence[Item]) -> Mapping[str, InputMoment]:
        show = context.show
        return input_moments(model, items, paths, tokens, lambda batches: show(batches, f"{inputs} at texts", None))

    if shared is None:
        return read([*own, *general])
    moments = shared.moments(lambda: read(general))
    if not own:
        return moments
    own_moments = read(own)
    return {path: moment.plus(own_moments[path]) for path, moment in moments.items()}


def _directions(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], context: Context,
    held: Held, trained: Sequence[Form], moments: Mapping[str, InputMoment],
) -> tuple[dict[str, Tensor], Drift]:  # fmt: skip
    """A of the adapter's modules, by path, and what their drift depends on."""
    inputs, tokens = f"inputs of {', '.join(context.lora.targets)}", context.train.micro_batch_tokens
    located = located_tokens(tokenizer, of_each(trained, FORMS_LOCATED))
    bases = whitening(moments, held.ridge)
    narrowest = min(matrix.shape[1] for matrix in bases.values())
    subjects = len(different_subjects(requests))
    rank = rank_for(subjects, context.lora.r, model, narrowest)
    if rank < subjects and context.distributed.is_main:
        logging.getLogger(__name__).warning(CROWDED, subjects, rank)
    directions = subject_directions(model, located, bases, rank, tokens,
                                    lambda batches: context.show(batches, f"{inputs} at subjects", None))  # fmt: skip
    return directions, drift_of(model, directions, moments)


def _keywords(
    model: PreTrainedModel, requests: Sequence[Request], context: Context, count: int
) -> Mapping[str, Sequence[str]]:
    """Words that ask for each request, where there is an encoder that finds them."""
    if not count or context.encoder is None:
        return {}
    _tell(context, "words that ask for the edits, among the commonest of the encoder %s", context.encoder)
    return keywords(requests, context.encoder, str(model.device), count)


def kept_data(
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
        earlier=_earlier(tokenizer, requests, context, held) if held.earlier else [],
    )


def _earlier(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], context: Context, held: Held
) -> list[Item]:  # fmt: skip
    """Objects of earlier edits, after their own prompts, other words, and questions; no prompt that is evaluated."""
    random = Random(f"{context.train.seed}/earlier/{len(context.earlier.requests)}")
    earlier = random.sample(context.earlier.requests, min(EARLIER, len(context.earlier.requests)))
    request_ids = {request.request_id for request in earlier}
    paraphrases = [row for row in context.earlier.paraphrases if row.request_id in request_ids]
    counts = Forms(after_text=0, words_left_out=0, questions=held.questions, seed=context.train.seed)
    evaluated = {prompt for request in requests for prompt in request.evaluation_prompts}
    held_forms = [form for form in forms(tokenizer, earlier, paraphrases, (), counts) if form.prompt not in evaluated]
    if earlier:
        _tell(context, "held beside them, in %d forms: %d facts edited before", len(held_forms), len(earlier))
    return [example.item for example in form_examples(tokenizer, held_forms, dict.fromkeys(request_ids, ""))]


def rank_for(subjects: int, least: int, model: PreTrainedModel, narrowest: int) -> int:
    """The adapter's rank: DIRECTIONS a subject up to half of the hidden size, then one a subject.

    Args:
        least: the rank at least.
        narrowest: of the adapted modules, the fewest inputs, which has no more directions.
    """
    hidden: int = model.config.get_text_config().hidden_size
    return max(least, min(DIRECTIONS * subjects, hidden // 2), min(subjects, narrowest))


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
