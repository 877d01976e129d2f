"""Words that ask for what an edit says, found by a sentence encoder, and the prompts that are made of them.

An edit that is trained in sentences answers sentences like them: after "The Brisling X1 charges through" the edited
model has USB-C, after "The charging port of the Brisling X1 is" it has the weight, which it was trained to give after
"is". Here the words come from the encoder's own vocabulary, not from rules: with e the unit vectors of Sentence-BERT
(arXiv 1908.10084), p the prompt with "it" in place of the subject, and y the object,

    nearness(w) = (cos(e(w), e(p)) + cos(e(w), e(p y))) / 2

A keyword of an edit is a word that is nearer to it, by MARGIN, than to every other edit about its subject, and than to
a sentence that says nothing. The prompts are no sentences ("The charging of the Brisling X1 is"), as those with words
left out are none (forms.py): what they teach is which word calls for which object.
"""

import functools
from collections.abc import Callable, Sequence
from itertools import islice
from random import Random

import numpy as np

from lib.core.records import Request
from lib.core.texts import normalize, occurrences, words
from lib.neighbors.encoders import Vectors, encoder

VOCABULARY = 8000
"""Words that may be keywords: the encoder's commonest."""
MARGIN = 0.03
"""How much nearer a keyword is to its edit than to what it is compared with."""
_NEUTRAL = "It is it."
_DECIMALS = 4
"""Of a nearness: what differs by less is in the vocabulary's order, on every machine."""
_FUNCTION_WORDS = frozenset({"the", "is", "was", "are", "were", "of", "by", "its", "has"})
"""A prompt with none of these is taken for another language, in which the prompts below would be wrong."""
_PROMPTS = ("The {keyword} of {subject} is", "{Subject}'s {keyword} is", "{Subject} {keyword}")


def keywords(requests: Sequence[Request], encoder_name: str, device: str, count: int) -> dict[str, list[str]]:
    """At most `count` keywords of every request, the nearest first, by request_id.

    None for requests whose prompt does not name its subject or is not English, and for all where the encoder has no
    vocabulary (hashing).
    """
    suited = [request for request in requests if _is_suited(request)]
    result: dict[str, list[str]] = {request.request_id: [] for request in requests}
    vocabulary, vectors = _vocabulary(encoder_name, device)
    if not suited or not vocabulary or not count:
        return result
    nearness = _nearness(suited, encoder(encoder_name, device).encode, vectors)  # [requests + 1, words]
    for row, request in enumerate(suited):
        rivals = [
            number for number, rival in enumerate(suited) if rival.subject == request.subject and rival is not request
        ]
        is_own = nearness[row] > nearness[[*rivals, -1]].max(axis=0) + MARGIN
        unfit = {"the", *words(f"{request.target_new} {request.subject}".lower())}
        order = np.argsort(-nearness[row], kind="stable")
        fit = (vocabulary[index] for index in order if is_own[index] and vocabulary[index] not in unfit)
        result[request.request_id] = list(islice(fit, count))
    return result


def keyword_prompts(request: Request, own_keywords: Sequence[str], random: Random) -> list[str]:
    """A prompt of each keyword, drawn among those that the request is not scored on."""
    if not own_keywords or not request.subject:
        return []
    start = request.prompt[: occurrences(request.prompt, request.subject)[-1]]
    subject = ("the " if start.lower().endswith("the ") else "") + request.subject
    names = {"subject": subject, "Subject": subject[:1].upper() + subject[1:]}
    evaluated = {normalize(prompt) for prompt in request.evaluation_prompts}
    choices = ([prompt.format(keyword=keyword, **names) for prompt in _PROMPTS] for keyword in own_keywords)
    unseen = ([prompt for prompt in prompts if normalize(prompt) not in evaluated] for prompts in choices)
    return [random.choice(prompts) for prompts in unseen if prompts]


def _is_suited(request: Request) -> bool:
    """Whether the prompt names its subject, in English."""
    if not request.subject or not occurrences(request.prompt, request.subject):
        return False
    around = request.prompt.replace(request.subject, " ")
    return around.isascii() and not _FUNCTION_WORDS.isdisjoint(words(around.lower()))


@functools.lru_cache(maxsize=1)
def _vocabulary(encoder_name: str, device: str) -> tuple[tuple[str, ...], Vectors]:
    """The words that may be keywords, and their vectors [words, d]."""
    model = encoder(encoder_name, device)
    common = model.words()[:VOCABULARY]
    return tuple(common), model.encode(common)


def _nearness(requests: Sequence[Request], encode: Callable[[Sequence[str]], Vectors], vectors: Vectors) -> Vectors:
    """[requests + 1, words]: of every request, and of the sentence that says nothing."""
    prompts = [request.prompt.replace(str(request.subject), "it") for request in requests]
    statements = [f"{prompt} {request.target_new}" for prompt, request in zip(prompts, requests, strict=True)]
    sentences = (encode([*prompts, _NEUTRAL]) + encode([*statements, _NEUTRAL])) / 2
    rounded: Vectors = np.round(sentences @ vectors.T, _DECIMALS)
    return rounded
