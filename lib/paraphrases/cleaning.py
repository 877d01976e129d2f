"""Which candidates are kept as paraphrases, and why the others are not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lib.core.records import Paraphrase, Request
from lib.core.texts import contains, normalize, words

Reason = Literal["copy", "subject", "target", "evaluation", "duplicate", "sentence"]


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """What cleaning kept, and why it dropped the rest."""

    kept: list[Paraphrase]
    dropped: Counter[Reason] = field(default_factory=Counter)
    shortfall: int = 0
    """How many paraphrases are missing to `n` for every edit."""


def clean(requests: Sequence[Request], found: Sequence[Paraphrase], n: int, method: str) -> Cleaned:
    """At most `n` usable paraphrases an edit; with method `both`, half of them few-shot where there are enough.

    Dropped are: copies of the prompt; texts without the subject; texts that give the old or new target away; texts
    that are, hold or are held in an evaluation prompt of any edit; duplicates; whole sentences, which leave nothing
    to complete.
    """
    guarded = _guarded_prompts(requests)
    by_edit: dict[str, list[Paraphrase]] = {}
    for one in found:
        by_edit.setdefault(one.request_id, []).append(one)
    kept: list[Paraphrase] = []
    dropped: Counter[Reason] = Counter()
    for request in requests:
        usable = []
        seen: set[str] = set()
        for one in by_edit.get(request.request_id, ()):
            reason = _why_not(request, one.text, guarded.get(request.request_id, ()), seen)
            if reason is None:
                usable.append(one)
                seen.add(normalize(one.text))
            else:
                dropped[reason] += 1
        kept += _choose(usable, n, method)
    return Cleaned(kept=kept, dropped=dropped, shortfall=n * len(requests) - len(kept))


def _choose(usable: list[Paraphrase], n: int, method: str) -> list[Paraphrase]:
    """`n` of the usable ones; for `both`, prefixed prompts fill up what few-shot lines leave."""
    lines = [one for one in usable if one.kind == "fewshot"]
    prefixed = [one for one in usable if one.kind == "prefix"]
    if method == "both":
        wanted = max((n + 1) // 2, n - len(prefixed))
        lines = lines[:wanted]
    return (lines + prefixed)[:n]


def _why_not(request: Request, text: str, guarded: Sequence[str], seen: set[str]) -> Reason | None:
    """The first reason to drop a candidate, or None."""
    plain = normalize(text)
    if plain == normalize(request.prompt):
        return "copy"
    if not plain or (request.subject and not contains(text, request.subject)):
        return "subject"
    if any(contains(text, one) and not contains(request.prompt, one) for one in _targets(request)):
        return "target"
    if any(f" {one} " in f" {plain} " or f" {plain} " in f" {one} " for one in guarded):
        return "evaluation"
    if plain in seen:
        return "duplicate"
    if text.rstrip().endswith((".", "!")) and not request.prompt.rstrip().endswith((".", "!")):
        return "sentence"
    return None


def _targets(request: Request) -> list[str]:
    return [one for one in (request.target_new, request.target_true) if one]


def _guarded_prompts(requests: Sequence[Request]) -> dict[str, list[str]]:
    """For each edit, the normalised evaluation prompts it must keep away from.

    These are its own, and those of any edit that speak of its subject; a candidate must hold the subject, so no other
    evaluation prompt can be, hold or be held in one without being among these.
    """
    edits_of: dict[tuple[str, ...], list[str]] = {}
    for request in requests:
        if request.subject:
            edits_of.setdefault(words(request.subject), []).append(request.request_id)
    lengths = sorted({len(subject) for subject in edits_of if subject})
    guarded: dict[str, dict[str, None]] = {request.request_id: {} for request in requests}
    for request in requests:
        for prompt in (*request.paraphrases, *(one.prompt for one in request.locality)):
            split = words(prompt)
            guarded[request.request_id][" ".join(split)] = None
            for length in lengths:
                for start in range(len(split) - length + 1):
                    for request_id in edits_of.get(split[start : start + length], ()):
                        guarded[request_id][" ".join(split)] = None
    return {request_id: list(prompts) for request_id, prompts in guarded.items()}
