"""What the published objective trains on: edits, paraphrases and unedited facts (arXiv 2402.11078), and plain text."""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Request
from lib.methods.context import Context
from lib.methods.training.example import Example
from lib.methods.training.kept import in_turns
from lib.methods.training.objective import references, with_reference
from lib.methods.training.pairs import StoredExamples, ended, training_items, training_rows
from lib.methods.training.plan import Beside, Plan, Settings, pairs_as_published, schedule_of, stored
from lib.models.packing import Item
from lib.models.tokens import text_ids


def published_plan(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], settings: Settings,
    context: Context,
) -> Plan:  # fmt: skip
    """Every pair in every epoch, in random order, and pieces of plain text beside them where train.text is not 0."""
    return Plan(
        examples=published_pairs(model, tokenizer, requests, context),
        schedule=schedule_of(settings, context),
        beside=_texts(tokenizer, settings, context),
    )


def published_pairs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], context: Context
) -> Sequence[Example]:
    """The published training pairs: edits, paraphrases, unedited facts."""
    train = context.train
    if train.dpo and not train.mask_prompt:
        raise InputError("train.dpo: wanted train.mask_prompt=true, since the prompt is no answer to prefer")
    if train.dpo and not any(request.target_true for request in requests):
        raise InputError("train.dpo: wanted edits with target_true (the rejected answer); none has one")
    rejected = _counterfactuals(context) if pairs_as_published(train) else {}
    rows = training_rows(requests, context.paraphrases, context.neighbors, rejected)
    items = training_items(tokenizer, rows, train.mask_prompt, rejected=train.dpo > 0)
    if pairs_as_published(train):
        items = (ended(item, tokenizer.eos_token_id) for item in items)
    examples = stored((Example(item=item) for item in items), context)
    if not train.dpo:
        return examples
    if isinstance(examples, StoredExamples):
        return examples.with_references(references(model, examples, train.micro_batch_tokens))
    return with_reference(model, examples, train.micro_batch_tokens)


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
