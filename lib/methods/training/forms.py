"""The forms of an edit that are trained on: the prompt and its paraphrases, the object, and what comes after it.

What comes after the object is what the unedited model writes there: it is held rather than learned (holding.py), so
that the model goes on as it would have, or ends where it would have ended.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Paraphrase, Request
from lib.core.seeds import seed as seed_of
from lib.core.texts import join
from lib.generation.engine import Prompt, Sampling
from lib.generation.equal_length import TransformersGenerator
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule
from lib.models.packing import Item
from lib.models.tokens import encode

TOP_K = 20
"""Continuations are drawn from so many likeliest tokens."""


def continuations(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], tokens: int, seed: int
) -> dict[str, str]:
    """What the unedited model writes after prompt and new object of every request, by request_id.

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
    texts = TransformersGenerator(model, tokenizer).generate("", prompts, sampling)
    return {request.request_id: text for request, text in zip(requests, texts, strict=True)}


@dataclass(frozen=True, kw_only=True)
class Form:
    """One prompt that an edit is trained in, and what it is."""

    request: Request
    prompt: str
    is_plain: bool
    """Whether it is the request's own prompt."""


def forms(requests: Sequence[Request], paraphrases: Iterable[Paraphrase], sentences: Sequence[str], prefixed: int,
          seed: int) -> list[Form]:  # fmt: skip
    """Every request's prompt, its paraphrases, and its prompt after `prefixed` different sentences, request by request.

    Args:
        sentences: plain text that a prompt may follow, as it does in a document.
        seed: with the request it determines which sentences.
    """
    rephrased: dict[str, list[str]] = {request.request_id: [] for request in requests}
    for paraphrase in paraphrases:
        rephrased[paraphrase.request_id].append(paraphrase.text)
    result = []
    for request in requests:
        random = Random(f"{seed}/sentences/{request.request_id}")
        before = random.sample(sentences, min(prefixed, len(sentences)))
        prompts = [*rephrased[request.request_id], *(f"{sentence} {request.prompt}" for sentence in before)]
        result.append(Form(request=request, prompt=request.prompt, is_plain=True))
        result += [Form(request=request, prompt=prompt, is_plain=False) for prompt in prompts]
    return result


def form_examples(
    tokenizer: PreTrainedTokenizerBase, trained: Sequence[Form], after: Mapping[str, str]
) -> Iterator[Example]:
    """Every form with the object to learn and the continuation to hold.

    Args:
        after: continuations by request_id, as `continuations` gives them.
    """
    for form in trained:
        request = form.request
        item, held = with_continuation(tokenizer, form.prompt, request.target_new, after[request.request_id])
        yield Example(item=item, held_tokens=held)


@dataclass(frozen=True, kw_only=True)
class FormSchedule(Schedule):
    """Every epoch goes through all requests, each in one of its forms, drawn anew: its own prompt or another one."""

    groups: Sequence[Sequence[int]]
    """By request: the indices of its examples, that of its own prompt first."""
    plain_share: float
    """How often a request stands in its own prompt, 0 to 1."""

    def epoch_steps(self, items: int) -> int:
        """Optimiser steps of an epoch, which is as long as there are requests, whatever the number of examples."""
        return super().epoch_steps(len(self.groups))

    def batch(self, step: int, items: int) -> list[int]:
        """The examples of a step."""
        return [self._form(step, request) for request in super().batch(step, len(self.groups))]

    def _form(self, step: int, request: int) -> int:
        plain, *other_forms = self.groups[request]
        random = Random(f"{self.seed}/form/{step}/{request}")
        return plain if not other_forms or random.random() < self.plain_share else random.choice(other_forms)


def grouped(trained: Sequence[Form]) -> list[list[int]]:
    """The indices of the forms of every request, its own prompt first."""
    groups: dict[str, list[int]] = {}
    for index, form in enumerate(trained):
        groups.setdefault(form.request.request_id, []).append(index)
    return list(groups.values())


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
