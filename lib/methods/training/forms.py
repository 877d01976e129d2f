"""The forms of an edit that are trained on: the prompt and its paraphrases, the object, and what comes after it.

What comes after the object is what the unedited model writes there: it is held rather than learned (holding.py), so
that the model goes on as it would have, or ends where it would have ended.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from random import Random
from typing import Literal

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Paraphrase, Request
from lib.core.seeds import seed as seed_of
from lib.core.texts import join, normalize
from lib.data.questions import trained_questions
from lib.generation.engine import Prompt, Sampling
from lib.generation.mixed_length import MixedLengthGenerator
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule
from lib.models.packing import Item
from lib.models.templates import chat_prompt, has_template
from lib.models.tokens import encode

TOP_K = 20
"""Continuations are drawn from so many likeliest tokens."""
_WORD_PART = re.compile(r"^\w+")
KEPT_WORDS = 0.5
"""Chance of a word to stay in a form with words left out."""


def continuations(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], tokens: int, seed: int
) -> dict[str, str]:
    """What the unedited model writes after prompt and new object of every request, by request_id.

    Letters that would make the object's last word longer are taken off.

    Args:
        tokens: length of a continuation, at most; 0 gives none.
        seed: with the request it determines what is drawn.
    """
    if not tokens:
        return {request.request_id: "" for request in requests}
    prompts = [
        Prompt(text=join(request.prompt, request.target_new), seed=seed_of(seed, "after", request.request_id))
        for request in requests
    ]
    sampling = Sampling(max_tokens=tokens, temperature=1.0, top_k=TOP_K)
    texts = MixedLengthGenerator(model, tokenizer).generate("", prompts, sampling)
    return {request.request_id: _WORD_PART.sub("", text) for request, text in zip(requests, texts, strict=True)}


FormKind = Literal["plain", "paraphrase", "after text", "words left out", "question", "chat"]


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
    sentences: Sequence[str], counts: Forms,
) -> list[Form]:  # fmt: skip
    """Every request's own prompt and its other forms, request by request.

    Args:
        sentences: plain text that a prompt may follow.
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
    before, _, after = prompt.rpartition(subject) if subject and subject in prompt else ("", "", "")
    if not subject or not (before + after).strip():
        return None
    parts = [word for word in before.split() if random.random() < KEPT_WORDS]
    parts += [subject, *(word for word in after.split() if random.random() < KEPT_WORDS)]
    return " ".join(parts)


def form_examples(
    tokenizer: PreTrainedTokenizerBase, trained: Sequence[Form], after: Mapping[str, str]
) -> Iterator[Example]:
    """Every form with the object to learn and the continuation to hold; in a chat the edit is learned as a sentence.

    Args:
        after: continuations by request_id, as `continuations` gives them.
    """
    for form in trained:
        request = form.request
        if form.kind == "chat":
            sentence = join(request.prompt, request.target_new)
            item, held = with_continuation(tokenizer, form.prompt, sentence, "")
        else:
            item, held = with_continuation(tokenizer, form.prompt, request.target_new, after[request.request_id])
        yield Example(item=item, held_tokens=held)


@dataclass(frozen=True, kw_only=True)
class FormSchedule(Schedule):
    """Every epoch goes through all requests, each in one of its forms, drawn anew: its own prompt or another one."""

    groups: Sequence[Sequence[Sequence[int]]]
    """By request and kind: the indices of its examples, that of its own prompt first."""
    plain_share: float
    """How often a request stands in its own prompt, 0 to 1; the other kinds share the rest alike."""

    def epoch_steps(self, items: int) -> int:
        """Optimiser steps of an epoch, which is as long as there are requests, whatever the number of examples."""
        return super().epoch_steps(len(self.groups))

    def batch(self, step: int, items: int) -> list[int]:
        """The examples of a step."""
        return [self._form(step, request) for request in super().batch(step, len(self.groups))]

    def _form(self, step: int, request: int) -> int:
        plain, *other_kinds = self.groups[request]
        random = Random(f"{self.seed}/form/{step}/{request}")
        is_plain = not other_kinds or random.random() < self.plain_share
        return random.choice(plain if is_plain else random.choice(other_kinds))


def of_each(trained: Sequence[Form], count: int) -> list[Form]:
    """The first `count` forms of every request."""
    by_request = groupby(trained, key=lambda form: form.request.request_id)
    return [form for _, own_forms in by_request for form in islice(own_forms, count)]


def grouped(trained: Sequence[Form]) -> list[list[list[int]]]:
    """The indices of the forms of every request, by kind, its own prompt first; questions in a chat with the others."""
    groups: dict[str, dict[FormKind, list[int]]] = {}
    for index, form in enumerate(trained):
        kind: FormKind = "question" if form.kind == "chat" else form.kind
        groups.setdefault(form.request.request_id, {}).setdefault(kind, []).append(index)
    return [list(kinds.values()) for kinds in groups.values()]


def with_continuation(
    tokenizer: PreTrainedTokenizerBase, prompt: str, target: str, continuation: str
) -> tuple[Item, int]:
    """Prompt, target and continuation as token ids, and how many of the last tokens are not the target's.

    The last token is the end of text, which stands for whatever the unedited model would write there. Where the
    tokenizer merges the end of the target with the continuation, the continuation is left out.
    """
    (item,) = encode(tokenizer, [prompt], [[target]])
    (learned,) = item.targets
    (longer,) = encode(tokenizer, [prompt], [[target + continuation]])
    tail = longer.targets[0][len(learned) :]
    if longer.prompt != item.prompt or longer.targets[0][: len(learned)] != learned:
        tail = ()
    tail = (*tail, tokenizer.eos_token_id)
    return Item(prompt=item.prompt, targets=((*learned, *tail),)), len(tail)


def subject_span(
    tokenizer: PreTrainedTokenizerBase, prompt: str, subject: str | None, prompt_tokens: int
) -> tuple[int, int] | None:
    """First position of the subject's last occurrence in the prompt and the one after its end, in tokens.

    None where the prompt does not have it, or the tokenizer does not tell where its tokens stand in the text.
    """
    start = prompt.rfind(subject) if subject else -1
    if start < 0 or not subject or not tokenizer.is_fast:
        return None
    end = start + len(subject)
    offsets = tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"][:prompt_tokens]
    inside = [
        position for position, (first, last) in enumerate(offsets) if first < end and last > start and first < last
    ]
    return (inside[0], inside[-1] + 1) if inside else None
