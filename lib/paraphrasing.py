"""Training paraphrases of edits: candidates from a generator, and the cleaning that decides which are kept.

Two kinds ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078): `fewshot`, lines that the model adds to a list
of worked examples; `prefix`, the prompt after a sentence z that the model samples from nothing, drawn anew for every
edit as the paper's formula says (its released code draws the same z for all edits).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lib import fewshot
from lib.core.params import Para
from lib.core.records import Fact, Paraphrase, Request
from lib.core.seeds import seed
from lib.core.texts import contains, fill, normalize, words
from lib.generation.engine import Generator, Prompt, Sampling

_SPARE_PREFIXES = 4
"""More prefixes are drawn than wanted, for those that cleaning drops."""


def candidates(requests: Sequence[Request], generator: Generator, para: Para) -> list[Paraphrase]:
    """Uncleaned paraphrases, for each edit in turn: few-shot lines first, then prefixed prompts.

    An edit's candidates depend on the edit and para.seed alone.
    """
    fewshots = _fewshot(requests, generator, para) if para.method in ("fewshot", "both") else []
    prefixed = _prefixed(requests, generator, para) if para.method in ("prefix", "both") else []
    place = {request.edit_id: index for index, request in enumerate(requests)}
    return sorted([*fewshots, *prefixed], key=lambda one: place[one.edit_id])


def valid_share(found: Sequence[Paraphrase], requests: Sequence[Request], pool: Sequence[Fact]) -> float | None:
    """Share of few-shot lines that say the edit's relation of its subject in a phrasing that the dataset knows.

    None where no edit has a relation with several phrasings, or no line was found.
    """
    templates: dict[str, set[str]] = {}
    known_templates = [(one.relation, one.template) for one in pool] + [
        (one.relation, one.template) for one in requests
    ]
    for relation, template in known_templates:
        if relation and template:
            templates.setdefault(relation, set()).add(template)
    known = {
        request.edit_id: {normalize(fill(one, request.subject)) for one in templates[request.relation]}
        for request in requests
        if request.subject and request.relation and len(templates.get(request.relation, ())) > 1
    }
    lines = [one for one in found if one.kind == "fewshot" and one.edit_id in known]
    return sum(normalize(one.text) in known[one.edit_id] for one in lines) / len(lines) if lines else None


def _fewshot(requests: Sequence[Request], generator: Generator, para: Para) -> Iterator[Paraphrase]:
    asked = [
        (request, seed(para.seed, request.edit_id, "fewshot", one))
        for request in requests
        for one in range(para.samples)
    ]
    prompts = [Prompt(text=fewshot.block(request.prompt), seed=own) for request, own in asked]
    sampling = Sampling(max_tokens=para.max_tokens, temperature=para.temperature, top_k=0, stop=(fewshot.STOP,))
    continuations = generator.generate(fewshot.shared_prefix(), prompts, sampling)
    for (request, own), continuation in zip(asked, continuations, strict=True):
        for line in fewshot.parse(continuation):
            yield Paraphrase(edit_id=request.edit_id, kind="fewshot", text=line, seed=own)


def _prefixed(requests: Sequence[Request], generator: Generator, para: Para) -> Iterator[Paraphrase]:
    for turn, longest in enumerate(para.prefix_tokens):
        numbers = range(turn, para.n + _SPARE_PREFIXES, len(para.prefix_tokens))
        asked = [(request, seed(para.seed, request.edit_id, "prefix", one)) for request in requests for one in numbers]
        sampling = Sampling(max_tokens=longest, temperature=1.0, top_k=para.prefix_top_k)
        texts = generator.generate("", [Prompt(text="", seed=own) for _, own in asked], sampling)
        for (request, own), text in zip(asked, texts, strict=True):
            sentence = " ".join(text.split()).rstrip(".")
            if sentence:
                yield Paraphrase(edit_id=request.edit_id, kind="prefix", text=f"{sentence}. {request.prompt}", seed=own)


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
        by_edit.setdefault(one.edit_id, []).append(one)
    kept: list[Paraphrase] = []
    dropped: Counter[Reason] = Counter()
    for request in requests:
        usable = []
        seen: set[str] = set()
        for one in by_edit.get(request.edit_id, ()):
            reason = _why_not(request, one.text, guarded.get(request.edit_id, ()), seen)
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
            edits_of.setdefault(words(request.subject), []).append(request.edit_id)
    lengths = sorted({len(subject) for subject in edits_of if subject})
    guarded: dict[str, dict[str, None]] = {request.edit_id: {} for request in requests}
    for request in requests:
        for prompt in (*request.paraphrases, *(one.prompt for one in request.locality)):
            split = words(prompt)
            guarded[request.edit_id][" ".join(split)] = None
            for length in lengths:
                for start in range(len(split) - length + 1):
                    for edit_id in edits_of.get(split[start : start + length], ()):
                        guarded[edit_id][" ".join(split)] = None
    return {edit_id: list(prompts) for edit_id, prompts in guarded.items()}
