"""Which candidates are kept as paraphrases, and why the others are dropped."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import regex

from lib.core.inflection import mentions
from lib.core.records import Paraphrase, Request
from lib.core.texts import normalize, words

DropReason = Literal["copy", "prefix", "subject", "target", "evaluation", "duplicate", "sentence", "far"]

_ENDED = regex.compile(r"(?V1)[\p{Sentence_Terminal}--[?\uff1f\u061f\u055e\u1367\u2e2e]]\s*$")
"""The end of a statement, in any script."""
REWRITTEN = ("rules", "chat")
"""Kinds of paraphrases that say the prompt in other words, and are measured (lib/paraphrases/nearness.py)."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """The paraphrases that cleaning keeps, and why it drops the rest."""

    paraphrases: list[Paraphrase]
    dropped: Counter[DropReason] = field(default_factory=Counter)
    shortfall: int = 0
    """How many paraphrases are missing to `n` for every request."""


def clean(requests: Sequence[Request], candidates: Sequence[Paraphrase], n: int, method: str) -> Cleaned:
    """Keep at most `n` usable candidates per request; with method `both`, half of them few-shot where there are enough.

    Dropped are: copies of the prompt, and rewritings that only put something before it; texts without the subject;
    texts that give the old or new target away; texts that are, hold or are held in an evaluation prompt of any request;
    duplicates; complete sentences, which leave nothing to complete.
    """
    guarded = _guarded_prompts(requests)
    candidates_of: dict[str, list[Paraphrase]] = {}
    for candidate in candidates:
        candidates_of.setdefault(candidate.request_id, []).append(candidate)
    paraphrases: list[Paraphrase] = []
    dropped: Counter[DropReason] = Counter()
    for request in requests:
        usable = []
        seen: set[str] = set()
        for candidate in candidates_of.get(request.request_id, ()):
            reason = _reason_to_drop(request, candidate, guarded.get(request.request_id, ()), seen)
            if reason is None:
                usable.append(candidate)
                seen.add(normalize(candidate.text))
            else:
                dropped[reason] += 1
        paraphrases += _choose(usable, n, method)
    return Cleaned(paraphrases=paraphrases, dropped=dropped, shortfall=n * len(requests) - len(paraphrases))


def _choose(usable: list[Paraphrase], n: int, method: str) -> list[Paraphrase]:
    """`n` of the usable candidates, those of the dataset first, then rewritings in the order in which they come.

    Prefixed prompts fill up what few-shot lines leave.
    """
    from_dataset = [candidate for candidate in usable if candidate.kind == "given"][:n]
    n -= len(from_dataset)
    lines = [candidate for candidate in usable if candidate.kind in ("fewshot", *REWRITTEN)]
    prefixed = [candidate for candidate in usable if candidate.kind == "prefix"]
    if method == "both":
        lines = lines[: max((n + 1) // 2, n - len(prefixed))]
    return from_dataset + (lines + prefixed)[:n]


def _reason_to_drop(
    request: Request, candidate: Paraphrase, guarded: Sequence[str], seen: set[str]
) -> DropReason | None:
    """The first reason to drop a candidate, or None."""
    text, normalized = candidate.text, normalize(candidate.text)
    if normalized == normalize(request.prompt):
        return "copy"
    if candidate.kind in REWRITTEN and normalized.endswith(f" {normalize(request.prompt)}"):
        return "prefix"
    if not normalized or (request.subject and not mentions(text, request.subject, request.prompt)):
        return "subject"
    if any(_gives_away(text, target, request.prompt) for target in _targets(request)):
        return "target"
    if any(f" {prompt} " in f" {normalized} " or f" {normalized} " in f" {prompt} " for prompt in guarded):
        return "evaluation"
    if normalized in seen:
        return "duplicate"
    if _ENDED.search(text) and not _ENDED.search(request.prompt):
        return "sentence"
    return None


def _gives_away(text: str, target: str, prompt: str) -> bool:
    return mentions(text, target, prompt) and not mentions(prompt, target)


def _targets(request: Request) -> list[str]:
    return [target for target in (request.target_new, request.target_true) if target]


def _guarded_prompts(requests: Sequence[Request]) -> dict[str, list[str]]:
    """For each request, the normalised evaluation prompts that its paraphrases must keep away from.

    These are its own, and those of any request that speak of its subject; a candidate must hold the subject, so no
    other evaluation prompt can be, hold or be held in one without being among these.
    """
    ids_of_subject: dict[tuple[str, ...], list[str]] = {}
    for request in requests:
        if request.subject:
            ids_of_subject.setdefault(words(request.subject), []).append(request.request_id)
    lengths = sorted({len(subject) for subject in ids_of_subject if subject})
    guarded: dict[str, dict[str, None]] = {request.request_id: {} for request in requests}
    for request in requests:
        for prompt in (*request.paraphrases, *(locality.prompt for locality in request.locality)):
            prompt_words = words(prompt)
            guarded[request.request_id][" ".join(prompt_words)] = None
            for length in lengths:
                for start in range(len(prompt_words) - length + 1):
                    for request_id in ids_of_subject.get(prompt_words[start : start + length], ()):
                        guarded[request_id][" ".join(prompt_words)] = None
    return {request_id: list(prompts) for request_id, prompts in guarded.items()}
