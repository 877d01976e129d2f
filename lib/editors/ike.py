"""IKE: editing in context, without a change of any weight (arXiv 2305.12740).

An edit is the text that goes before each of its prompts: f"{context}{prompt}", nothing between. It shows the facts of
the pool whose prompts are most similar to the edit's as demonstrations, then states the edit. A demonstration states a
new fact and shows what follows from it, in one of three kinds:

    copy     the same prompt, continued with the new fact's object
    update   another phrasing of it, continued with the new fact's object
    retain   a prompt about something else, continued as before

The original's demonstrations come from records that have a counterfactual object, paraphrases and neighborhood prompts.
A fact of the pool has none of these, so they are made of the pool:

    new object  that of a similar fact of the same relation, drawn at random; the fact's own where there is none
    update      the same fact in another phrasing of the pool; else another template of its relation, filled with its
                subject; else its own prompt after the statement of another fact
    retain      a similar fact about another subject with its own object, of the same relation where there is one

No fact is used whose subject or prompt occurs in a prompt that the edit is scored on, or the other way round: that is
stricter than lib/neighbors/overlap.py, which filters neighbors. A fact that the pool has in several phrasings is
demonstrated in the nearest of them; where there are fewer facts than demonstrations, they come again.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import numpy as np
from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Section
from lib.core.records import Fact, Request
from lib.core.texts import contains, fill, join
from lib.edits.edit import Edit
from lib.edits.notes import stated
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.neighbors.encoders import SentenceEncoder, encoder

NEEDS = Needs(edit_each=True, sharded=True, weightless=True)
_SPARE = 4
"""How many times the facts wanted are looked at first: some may not be used, some repeat another."""
Kind = Literal["copy", "update", "retain"]


@dataclass(frozen=True, kw_only=True)
class FactTexts:
    """What demonstrations of one fact can be made of; every text ends in its object."""

    fact: str
    """Prompt and new object."""
    updates: tuple[str, ...]
    """Other phrasings, with the same new object."""
    retains: tuple[str, ...]
    """Other facts, with their own objects."""

    def demonstration(self, kind: Kind, choose: Callable[[Sequence[str]], str]) -> str:
        """The demonstration of this kind; `choose` takes one text of several."""
        if kind == "copy":
            return demonstration(self.fact, self.fact)
        return demonstration(self.fact, choose(self.updates if kind == "update" else self.retains))


def demonstration(fact: str, continued: str) -> str:
    """One demonstration, a blank line after it."""
    return f"New Fact: {fact}\nPrompt: {continued}\n\n"


def preamble(fact: str, demonstrations: Sequence[str], copy: bool) -> str:
    """What goes before every prompt of an edit to `fact`, without anything between: f"{preamble}{prompt}".

    With `copy`, the edit itself is the last demonstration, as in the original; EasyEdit leaves that out.
    """
    parts = [*demonstrations, demonstration(fact, fact)] if copy else [*demonstrations]
    return "".join(parts) + stated([fact])


def nearest_last(
    fact_texts: Sequence[FactTexts], kinds: Sequence[Kind], choose: Callable[[Sequence[str]], str]
) -> list[str]:
    """One demonstration a kind, of the fact_texts in turn (nearest first, again from the start where they run out).

    Choices are made in that order; the demonstrations come back in the opposite one.
    """
    in_order = [fact_texts[index % len(fact_texts)].demonstration(kind, choose) for index, kind in enumerate(kinds)]
    return in_order[::-1]


def bank(fact_texts: Sequence[FactTexts]) -> list[str]:
    """EasyEdit's demonstrations to search: of every texts_of_fact the copy, the first update, the first retain."""
    kinds: tuple[Kind, ...] = ("copy", "update", "retain")
    return [texts_of_fact.demonstration(kind, lambda texts: texts[0]) for texts_of_fact in fact_texts for kind in kinds]


class Settings(Section):
    """configs/editors/ike.yaml"""

    convention: Literal["original", "easyedit"] = Field(
        description="original: every fact is demonstrated once, kinds mixed, nearest last, then the edit itself as a "
        "copy; easyedit: the demonstrations most similar to the edit, nearest first, without that copy"
    )
    copies: int = Field(ge=0, description="demonstrations that repeat the new fact")
    updates: int = Field(ge=0, description="demonstrations that give another phrasing of it")
    retains: int = Field(ge=0, description="demonstrations of another fact, which stays")
    encoder: str = Field(description="as neighbors.encoder: hashing, minilm, or a model by folder or hub name")
    seed: int = Field(description="draws new objects, the order of the kinds, and which text of several is shown")

    @property
    def kinds(self) -> list[Kind]:
        """The kind of every demonstration."""
        return [*["copy"] * self.copies, *["update"] * self.updates, *["retain"] * self.retains]  # type: ignore[list-item]


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """A context for every request; where the model has not the room, with fewer demonstrations (info.left_out of all).

    Raises InputError where demonstrations are asked for and the pool has not two facts to make them of, or where the
    edit itself leaves no room for a prompt.
    """
    return _edit(requests, _contexts(model, tokenizer, requests, settings, context))


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone; the pool is encoded once for all."""
    contexts = _contexts(model, tokenizer, requests, settings, context)
    return [_edit([request], [each]) for request, each in zip(requests, contexts, strict=True)]


def _edit(requests: Sequence[Request], contexts: Sequence[tuple[str, int]]) -> Edit:
    texts = {request.request_id: text for request, (text, _) in zip(requests, contexts, strict=True)}
    left_out = sum(fewer for _, fewer in contexts)
    return Edit(updates={}, contexts=texts, info={"editor": "ike", "pairs": len(requests), "left_out": left_out})


def _contexts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[tuple[str, int]]:
    """The context of every request, and how many demonstrations it had no room for."""
    writer = _Writer(context.pool, settings, encoder(settings.encoder, model.device.type))
    contexts = []
    for index in context.progress(range(len(requests))):
        demonstrations = writer.demonstrations(requests[index]) if settings.kinds else []
        contexts.append(_fitted(model, tokenizer, requests[index], demonstrations, settings))
    return contexts


class _Writer:
    """Writes contexts from one pool."""

    def __init__(self, pool: Sequence[Fact], settings: Settings, encoder: SentenceEncoder) -> None:
        self.pool, self.settings, self.encoder = pool, settings, encoder
        self.vectors = encoder.encode([fact.prompt for fact in pool])  # [facts, d]
        self.phrasings: dict[Any, list[Fact]] = defaultdict(list)
        self.templates: dict[str | None, dict[str, None]] = defaultdict(dict)  # in order, without repeats
        for fact in pool:
            self.phrasings[_identity(fact)].append(fact)
            if fact.template and fact.relation:
                self.templates[fact.relation][fact.template] = None

    def near(self, request: Request) -> list[Fact]:
        """Facts that give away nothing of `request`, nearest first: enough, where the pool has so many."""
        order = np.argsort(-(self.vectors @ self.encoder.encode([request.prompt])[0]), kind="stable")
        candidates = _SPARE * len(self.settings.kinds)
        while True:
            near = [fact for row in order[:candidates] if not _overlaps_evaluation(request, fact := self.pool[row])]
            if len({_identity(candidate) for candidate in near}) >= len(self.settings.kinds) or candidates >= len(
                order
            ):
                return near
            candidates *= _SPARE

    def demonstrations(self, request: Request) -> list[str]:
        """What is shown before `request`, in order. Raises InputError where the pool has not two facts for it."""
        kinds, near = self.settings.kinds, self.near(request)
        distinct: dict[Any, Fact] = {}
        for candidate in near:
            distinct.setdefault(_identity(candidate), candidate)
        if len(distinct) < 2:
            raise InputError(
                f"request {request.request_id!r}: editor ike demonstrates unedited facts and wants at least 2 that "
                f"have nothing to do with its evaluation; found {len(distinct)} in a pool of {len(self.pool)}"
            )
        random = Random(f"{self.settings.seed}/ike/{request.request_id}")
        fact_texts = [self._fact_texts(candidate, near, random) for candidate in list(distinct.values())[: len(kinds)]]
        if self.settings.convention == "original":
            random.shuffle(kinds)
            return nearest_last(fact_texts, kinds, random.choice)
        texts = bank(fact_texts)
        looked_up = demonstration(join(request.prompt, request.target_new, request.separator), request.prompt)
        vectors = self.encoder.encode([looked_up, *texts]).astype(np.float64)
        order = np.argsort(-(vectors[1:] * vectors[0]).sum(axis=1), kind="stable")[: len(kinds)]
        return [texts[row] for row in order]

    def _fact_texts(self, fact: Fact, near: Sequence[Fact], random: Random) -> FactTexts:
        """What can be shown of `fact`, with an object that is not its own where its relation has another."""
        rivals = [candidate for candidate in near if _identity(candidate) != _identity(fact)]
        related = [candidate for candidate in rivals if fact.relation and candidate.relation == fact.relation]
        objects = sorted({candidate.target for candidate in related} - {fact.target})
        new = random.choice(objects) if objects else fact.target
        prompts = [phrasing.prompt for phrasing in self.phrasings[_identity(fact)] if phrasing.prompt != fact.prompt]
        if not prompts and fact.subject is not None:
            templates = self.templates.get(fact.relation, {})
            prompts = [fill(template, fact.subject) for template in templates if template != fact.template]
        if not prompts:
            prompts = [f"{join(candidate.prompt, candidate.target)}. {fact.prompt}" for candidate in rivals]
        elsewhere = [
            candidate for candidate in rivals if candidate.subject is None or candidate.subject != fact.subject
        ] or rivals
        stays = [
            candidate for candidate in elsewhere if fact.relation and candidate.relation == fact.relation
        ] or elsewhere
        return FactTexts(
            fact=join(fact.prompt, new),
            updates=tuple(join(prompt, new) for prompt in prompts),
            retains=tuple(join(candidate.prompt, candidate.target) for candidate in stays),
        )


def _identity(fact: Fact) -> Any:
    """The same for all phrasings of a fact, where its subject and relation are known."""
    return (fact.subject, fact.relation) if fact.subject and fact.relation else fact.fact_id


def _overlaps_evaluation(request: Request, fact: Fact) -> bool:
    """Whether the fact is about something that `request` is scored on."""
    return any(
        contains(prompt, fact.subject or "") or contains(prompt, fact.prompt) or contains(fact.prompt, prompt)
        for prompt in request.evaluation_prompts
    )


def _fitted(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    request: Request,
    demonstrations: Sequence[str],
    settings: Settings,
) -> tuple[str, int]:
    """The context of `request`, and how many demonstrations had to go, those least similar first.

    Every prompt of the request with its longest target fits into the model's positions behind it. Raises InputError
    where that takes more than leaving out every demonstration.
    """
    original = settings.convention == "original"
    fact = join(request.prompt, request.target_new, request.separator)
    targets = [request.target_new, request.target_true or "", *(prompt.target for prompt in request.locality)]
    longest = f"{max(request.evaluation_prompts, key=len)} {max(targets, key=len)}"
    room = getattr(model.config, "max_position_embeddings", None)
    for fewer in range(len(demonstrations) + 1):
        remaining = demonstrations[fewer:] if original else demonstrations[: len(demonstrations) - fewer]
        text = preamble(fact, remaining, copy=original)
        if room is None or len(tokenizer(text + longest).input_ids) <= room:
            return text, fewer
    raise InputError(
        f"request {request.request_id!r}: stating it before its longest prompt takes more than the {room} tokens that "
        "the model has room for"
    )
