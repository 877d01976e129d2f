"""The forms of an edit that are trained on: the prompt and its paraphrases, the object, and what comes after it.

What comes after the object is what the unedited model writes there: it is held rather than learned (holding.py), so
that the model goes on as it would have, or ends where it would have ended.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from random import Random
from types import MappingProxyType
from typing import Literal

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.joins import Separator
from lib.core.records import Paraphrase, Request
from lib.core.seeds import seed as seed_of
from lib.core.texts import continues_word, join, normalize, occurrences
from lib.core.words import is_hangul, is_unspaced
from lib.data.questions import is_question, trained_questions
from lib.generation.engine import Prompt, Sampling
from lib.generation.texts import ShowTexts, TransformersGenerator, untold
from lib.methods.training.example import Example
from lib.methods.training.keywords import keyword_prompts
from lib.methods.training.loop import Schedule
from lib.models.packing import Item
from lib.models.templates import chat_prompt, has_template
from lib.models.tokens import encode, tokens_within, with_offsets

TOP_K = 20
"""Continuations are drawn from so many likeliest tokens."""
KEPT_WORDS = 0.5
"""Chance of a word to stay in a form with words left out."""


def continuations(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], tokens: int, seed: int,
    show: ShowTexts = untold,
) -> dict[str, str]:  # fmt: skip
    """What the unedited model writes after prompt and new object of every request, by request_id.

    Letters that would make the object's last word longer are taken off.

    Args:
        tokens: length of a continuation, at most; 0 gives none.
        seed: with the request it determines what is drawn.
        show: passes the continuations on, and tells how many there are.
    """
    if not tokens:
        return {request.request_id: "" for request in requests}
    prompts = [
        Prompt(
            text=join(request.prompt, request.target_new, request.separator),
            seed=seed_of(seed, "after", request.request_id),
        )
        for request in requests
    ]
    sampling = Sampling(max_tokens=tokens, temperature=1.0, top_k=TOP_K)
    texts = TransformersGenerator(model, tokenizer, show).generate("", prompts, sampling)
    return {
        request.request_id: _without_word_part(request.target_new, text)
        for request, text in zip(requests, texts, strict=True)
    }


def _without_word_part(target: str, text: str) -> str:
    """`text` without the letters at its beginning that make the target's last word longer."""
    end = 0
    while end < len(text) and (text[end] == "_" or continues_word(text[end:], target + text[:end])):
        end += 1
    return text[end:]


FormKind = Literal["plain", "paraphrase", "after text", "words left out", "keyword", "question", "chat"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """One prompt that an edit is trained in, and what it is."""

    request: Request
    prompt: str
    kind: FormKind
    """plain: the request's own prompt."""


@dataclass(frozen=True, kw_only=True)
class Forms:
    """How many forms of each kind an edit gets beside its own prompt and its paraphrases."""

    after_text: int
    """Its prompt after a sentence of plain text, as it may stand in a document."""
    words_left_out: int
    """Its prompt without some of the words around the subject."""
    questions: int
    """Questions that its object answers, as many in the chat template, where the tokenizer has one."""
    seed: int
    """With the request it determines what is drawn."""


def forms(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], paraphrases: Iterable[Paraphrase],
    sentences: Sequence[str], counts: Forms, keywords: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Form]:  # fmt: skip
    """Every request's own prompt and its other forms, request by request.

    Args:
        sentences: plain text that a prompt may follow.
        keywords: words that ask for a request, by request_id (keywords.py).
    """
    rephrased: dict[str, list[str]] = {request.request_id: [] for request in requests}
    for paraphrase in paraphrases:
        rephrased[paraphrase.request_id].append(paraphrase.text)
    result = []
    for request in requests:
        prompts: dict[FormKind, list[str]] = {
            "plain": [request.prompt],
            "paraphrase": rephrased[request.request_id],
            **_other_forms(tokenizer, request, rephrased[request.request_id], sentences, counts),
            "keyword": keyword_prompts(
                request, keywords.get(request.request_id, ()), Random(f"{counts.seed}/keywords/{request.request_id}")
            ),
        }
        result += [Form(request=request, prompt=text, kind=kind) for kind, texts in prompts.items() for text in texts]
    return result


def _other_forms(
    tokenizer: PreTrainedTokenizerBase, request: Request, rephrased: Sequence[str], sentences: Sequence[str],
    counts: Forms,
) -> dict[FormKind, list[str]]:  # fmt: skip
    """The forms of a request that are drawn."""
    random, chats = Random(f"{counts.seed}/forms/{request.request_id}"), has_template(tokenizer)
    questions = _drawn(trained_questions(request, rephrased), counts.questions, random)
    shortened = (without_words(text, request.subject, random) for text in (request.prompt, *rephrased) * 4)
    evaluated = {normalize(prompt) for prompt in request.evaluation_prompts}
    left_out = [text for text in dict.fromkeys(shortened) if text and normalize(text) not in evaluated]
    return {
        "after text": [f"{text} {request.prompt}" for text in _drawn(sentences, counts.after_text, random)],
        "words left out": _drawn(left_out, counts.words_left_out, random),
        "question": [f"Question: {question} Answer:" for question in questions],
        "chat": [chat_prompt(tokenizer, question) for question in questions] if chats else [],
    }


def _drawn(choices: Sequence[str], count: int, random: Random) -> list[str]:
    return random.sample(choices, min(count, len(choices)))


def without_words(prompt: str, subject: str | None, random: Random) -> str | None:
    """The prompt with each word before and after its subject left out by the toss of a coin.

    None where the prompt does not name the subject, or has no other words.
    """
    starts = occurrences(prompt, subject) if subject else []
    if not subject or not starts:
        return None
    before, after = prompt[: starts[-1]], prompt[starts[-1] + len(subject) :]
    if not (before + after).strip():
        return None
    left = [word for word in before.split() if random.random() < KEPT_WORDS]
    right = [word for word in after.split() if random.random() < KEPT_WORDS]
    is_tied_left = bool(left) and before.split()[-1] == left[-1] and _is_tied(before[-1:], subject[:1])
    is_tied_right = bool(right) and after.split()[0] == right[0] and _is_tied(subject[-1:], after[:1])
    start = " ".join(left) + ("" if is_tied_left or not left else " ")
    return start + subject + ("" if is_tied_right or not right else " ") + " ".join(right)


def _is_tied(last: str, first: str) -> bool:
    """Whether two characters that follow each other have no space between them and need none."""
    return not (last.isspace() or first.isspace()) and any(
        is_unspaced(side) or is_hangul(side) for side in last + first
    )


def form_examples(
    tokenizer: PreTrainedTokenizerBase, trained: Sequence[Form], after: Mapping[str, str]
) -> Iterator[Example]:
    """Every form with the object to learn and the continuation to hold; in a chat `_chat_answer` is learned.

    Args:
        after: continuations by request_id, as `continuations` gives them.
    """
    for form in trained:
        request = form.request
        if form.kind == "chat":
            item, held = with_continuation(tokenizer, form.prompt, _chat_answer(request), "")
        else:
            continuation = after[request.request_id]
            separator = None if form.kind == "question" else request.separator
            item, held = with_continuation(tokenizer, form.prompt, request.target_new, continuation, separator)
        yield Example(item=item, held_tokens=held)


def _chat_answer(request: Request) -> str:
    """The edit as a sentence; of a prompt that is a question the object alone, which answers it."""
    if is_question(request.prompt):
        return request.target_new.strip()
    return join(request.prompt, request.target_new, request.separator)


@dataclass(frozen=True, kw_only=True)
class FormSchedule(Schedule):
    """Every epoch goes through all requests, each in one of its forms, drawn anew: its own prompt or another one."""

    groups: Sequence[Sequence[Sequence[int]]]
    """By request and kind: the indices of its examples, that of its own prompt first, then those of its paraphrases."""
    plain_share: float
    """How often a request stands in its own prompt, 0 to 1."""
    paraphrase_share: float
    """The same in one of its paraphrases, where it has any; the other kinds share the rest alike."""

    def epoch_steps(self, items: int) -> int:
        """Optimiser steps of an epoch, which is as long as there are requests, whatever the number of examples."""
        return super().epoch_steps(len(self.groups))

    def batch(self, step: int, items: int) -> list[int]:
        """The examples of a step."""
        return [self._form(step, request) for request in super().batch(step, len(self.groups))]

    def _form(self, step: int, request: int) -> int:
        plain, paraphrases, *other_kinds = self.groups[request]
        random = Random(f"{self.seed}/form/{step}/{request}")
        share = random.random()
        if share < self.plain_share or not (paraphrases or other_kinds):
            return random.choice(plain)
        if paraphrases and (share < self.plain_share + self.paraphrase_share or not other_kinds):
            return random.choice(paraphrases)
        return random.choice(random.choice(other_kinds))


def of_each(trained: Sequence[Form], count: int) -> list[Form]:
    """The first `count` forms of every request."""
    by_request = groupby(trained, key=lambda form: form.request.request_id)
    return [form for _, own_forms in by_request for form in islice(own_forms, count)]


def grouped(trained: Sequence[Form]) -> list[list[list[int]]]:
    """The indices of the forms of every request, by kind: its own prompt, its paraphrases, if any, then the others.

    Keywords are drawn with prompts that lack words, which are no sentences either.
    """
    groups: dict[str, dict[FormKind, list[int]]] = {}
    for index, form in enumerate(trained):
        kind = "words left out" if form.kind == "keyword" else form.kind
        groups.setdefault(form.request.request_id, {"plain": [], "paraphrase": []}).setdefault(kind, []).append(index)
    return [list(kinds.values()) for kinds in groups.values()]


def with_continuation(
    tokenizer: PreTrainedTokenizerBase, prompt: str, target: str, continuation: str, separator: Separator | None = None
) -> tuple[Item, int]:
    """Prompt, target and continuation as token ids, and how many of the last tokens are not the target's.

    The last token is the end of text, which stands for whatever the unedited model would write there. Where the
    tokenizer merges the end of the target with the continuation, the continuation is left out.
    """
    (item,) = encode(tokenizer, [prompt], [[target]], [separator])
    (learned,) = item.targets
    (longer,) = encode(tokenizer, [prompt], [[target + continuation]], [separator])
    tail = longer.targets[0][len(learned) :]
    if longer.prompt != item.prompt or longer.targets[0][: len(learned)] != learned:
        tail = ()
    tail = (*tail, tokenizer.eos_token_id)
    return Item(prompt=item.prompt, targets=((*learned, *tail),)), len(tail)


def subject_span(
    tokenizer: PreTrainedTokenizerBase, prompt: str, subject: str | None, prompt_tokens: int
) -> tuple[int, int] | None:
    """First position of the subject's last occurrence in the prompt and the one after its end, in tokens.

    Whole words go before parts of others. None where the prompt does not have it, or the tokenizer does not tell where
    its tokens stand in the text.
    """
    starts = occurrences(prompt, subject) if subject else []
    if not starts or not subject or not tokenizer.is_fast:
        return None
    start, end = starts[-1], starts[-1] + len(subject)
    offsets = with_offsets(tokenizer, prompt)[1][:prompt_tokens]
    inside = tokens_within(offsets, start, end)
    return (inside[0], inside[-1] + 1) if inside else None
