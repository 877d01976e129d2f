"""Before any long work: does every text fit the model's positions, and has every token an embedding?"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.joins import Separator
from lib.core.records import Fact, Request
from lib.models.check import reading_of
from lib.models.packing import Item
from lib.models.templates import chat_prompt, has_template
from lib.models.tokens import encode
from lib.scoring.prompts import nothing_before, scored_prompts

_TEXTS = 1024
"""Encoded together."""
Text = tuple[str, str, Sequence[str], Separator | None]
"""What it is ("edit e1"), prompt, targets, and what the file says stands between them."""


def check_texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], pool: Iterable[Fact]
) -> None:
    """Raise InputError, which names the edit or fact, where a prompt with its target does not fit the model.

    It does not fit where it takes more tokens than the model has positions, or where the tokenizer makes a token of it
    that the model's embedding has no row for.
    """
    reading = reading_of(model)
    name = type(model).__name__
    if (end := tokenizer.eos_token_id) is not None and end >= reading.vocabulary:
        raise InputError(_without_row("the end of a text", int(end), tokenizer, name, reading.vocabulary))
    for label, item in _encoded(tokenizer, _texts(tokenizer, requests, pool)):
        if reading.positions is not None and item.pair_length > reading.positions:
            raise InputError(
                f"{label}: its prompt and target take {item.pair_length:,} tokens; {name} has positions for "
                f"{reading.positions:,}. Shorten the prompt, or use a model with more positions"
            )
        largest = max(max(item.prompt), *(max(target) for target in item.targets))
        if largest >= reading.vocabulary:
            raise InputError(_without_row(label, largest, tokenizer, name, reading.vocabulary))


def _without_row(label: str, token: int, tokenizer: PreTrainedTokenizerBase, name: str, rows: int) -> str:
    return (
        f"{label}: the tokenizer makes token {token} of {tokenizer.convert_ids_to_tokens(token)!r}; {name} has "
        f"embeddings for {rows:,} tokens. Take the tokenizer that belongs to this model, or leave that token out"
    )


def _texts(tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], pool: Iterable[Fact]) -> Iterator[Text]:
    """Every prompt that is scored, and every fact of the pool, in a chat template where there is one."""
    template = partial(chat_prompt, tokenizer) if has_template(tokenizer) else None
    for prompt in scored_prompts(requests, nothing_before, template):
        label = f"edit {prompt.request_id}, {prompt.kind} prompt {prompt.prompt[:60]!r}"
        yield label, prompt.prompt, [target for _, target in prompt.targets], prompt.separator
    for fact in pool:
        yield f"fact {fact.fact_id} of the pool, prompt {fact.prompt[:60]!r}", fact.prompt, [fact.target], None


def _encoded(tokenizer: PreTrainedTokenizerBase, texts: Iterator[Text]) -> Iterator[tuple[str, Item]]:
    while part := list(islice(texts, _TEXTS)):
        labels, prompts, targets, separators = zip(*part, strict=True)
        yield from zip(labels, encode(tokenizer, prompts, targets, separators), strict=True)
