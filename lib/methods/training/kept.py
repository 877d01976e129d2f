"""What every step of an edit holds to the unedited model: prompts of unedited facts, plain text, chat answers.

Prompts are held at their last token: those of unedited facts, and each request's own template about other subjects,
from which the model learns that the new object belongs to the edit's subject and not to its template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Held
from lib.core.records import Fact, Request, UneditedFact
from lib.core.texts import fill, normalize
from lib.data.questions import question
from lib.generation.engine import Prompt, greedy
from lib.generation.texts import ShowTexts, TransformersGenerator, untold
from lib.methods.training.example import Example, Group
from lib.models.packing import Item
from lib.models.templates import chat_prompt, has_template
from lib.models.tokens import prompt_ids

T = TypeVar("T")
MOMENT_PROMPTS = 1000
"""Held prompts that the inputs' second moment is taken over."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Everything that may be held, from which each step takes its own."""

    prompts: Sequence[str]
    texts: Sequence[str]
    chats: Sequence[Item]
    chat_prompts: Sequence[str] = ()
    earlier: Sequence[Item] = ()
    """Objects of edits that the model has, after prompts that ask for them."""

    def prompt_items(self, tokenizer: PreTrainedTokenizerBase, seed: int) -> list[Item]:
        """Some of the prompts that may be held: those of the edits' own."""
        prompts = [*self.prompts, *self.chat_prompts]
        prompts = Random(f"{seed}/moment prompts").sample(prompts, min(MOMENT_PROMPTS, len(prompts)))
        return [_last_token(prompt_ids(tokenizer, prompt), tokenizer) for prompt in prompts]

    def general_items(self, tokenizer: PreTrainedTokenizerBase, held: Held, seed: int) -> list[Item]:
        """Pieces of plain text and all chat answers: the same whatever the edits are."""
        pieces = Random(f"{seed}/moments").sample(self.texts, min(held.moment_texts, len(self.texts)))
        ids = [prompt_ids(tokenizer, text)[: held.text_tokens] for text in pieces]
        return [*(_all_tokens(piece) for piece in ids if len(piece) > 1), *self.chats]

    def per_step(self, tokenizer: PreTrainedTokenizerBase, held: Held, seed: int) -> Callable[[int], list[Example]]:
        """The examples that a step holds: of each kind as many as `held` says, fewer where there are not as many.

        They come in a random order that the seed determines.
        """
        draw_prompt = in_turns(self.prompts, held.prompts, f"{seed}/prompts")
        draw_chat_prompt = in_turns(self.chat_prompts, held.chat_prompts, f"{seed}/chat prompts")
        draw_text = in_turns(self.texts, held.texts, f"{seed}/texts")
        draw_chat = in_turns(self.chats, held.chats, f"{seed}/chats")
        draw_earlier = in_turns(self.earlier, held.earlier, f"{seed}/earlier")

        def of(step: int) -> list[Example]:
            pieces = [prompt_ids(tokenizer, text)[: held.text_tokens] for text in draw_text(step)]
            prompts = [*draw_prompt(step), *draw_chat_prompt(step)]
            return [
                *(_held(_last_token(prompt_ids(tokenizer, prompt), tokenizer), "prompts") for prompt in prompts),
                *(_held(_all_tokens(piece), "texts") for piece in pieces if len(piece) > 1),
                *(_held(item, "chats") for item in draw_chat(step)),
                *(_held(item, "earlier") for item in draw_earlier(step)),
            ]

        return of


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """The subjects of a pool that no evaluation prompt names."""

    by_relation: Mapping[str | None, Sequence[str]]
    """Each once."""
    by_fact: Mapping[str, str]
    """By fact_id."""

    @classmethod
    def of(cls, pool: Iterable[Fact], requests: Iterable[Request]) -> Subjects:
        """Of the pool beside these requests."""
        evaluated = {prompt for request in requests for prompt in request.evaluation_prompts}
        named = f" {' | '.join(normalize(prompt) for prompt in evaluated)} "
        by_relation: dict[str | None, dict[str, None]] = {}
        by_fact: dict[str, str] = {}
        for fact in pool:
            if fact.subject and f" {normalize(fact.subject)} " not in named:
                by_relation.setdefault(fact.relation, {})[fact.subject] = None
                by_fact[fact.fact_id] = fact.subject
        return cls(by_relation={relation: list(names) for relation, names in by_relation.items()}, by_fact=by_fact)


def kept_prompts(
    requests: Sequence[Request], unedited: Iterable[UneditedFact], subjects: Subjects, contrasts: int, seed: int
) -> list[str]:
    """The prompts to hold, each once: of every unedited fact, and each request's template about other subjects.

    The other subjects are of the request's own relation, where the pool has it; else those of the unedited facts that
    were chosen because they are similar to the request; as far as these do not suffice, any.

    Args:
        unedited: facts that belong to the requests (neighbors.parquet).
        subjects: the pool's, none of which an evaluation prompt names.
        contrasts: other subjects per request.
        seed: with the request it determines which.
    """
    evaluated = {prompt for request in requests for prompt in request.evaluation_prompts}
    everywhere = sorted({subject for names in subjects.by_relation.values() for subject in names})
    prompts, similar = dict[str, None](), dict[str, list[str]]()
    for fact in unedited:
        prompts[fact.prompt] = None
        if fact.similarity is not None and fact.fact_id in subjects.by_fact:
            similar.setdefault(fact.request_id, []).append(subjects.by_fact[fact.fact_id])
    for request in requests:
        if not request.template:
            continue
        near = (request.relation and subjects.by_relation.get(request.relation)) or similar.get(request.request_id, [])
        random = Random(f"{seed}/contrasts/{request.request_id}")
        candidates = [*random.sample(near, len(near)), *random.sample(everywhere, min(contrasts, len(everywhere)))]
        other_subjects = [subject for subject in dict.fromkeys(candidates) if subject != request.subject]
        prompts |= {_about(request.template, subject): None for subject in other_subjects[:contrasts]}
    return [prompt for prompt in prompts if prompt not in evaluated]


def chat_prompts(tokenizer: PreTrainedTokenizerBase, unedited: Iterable[UneditedFact], subjects: Subjects) -> list[str]:
    """Questions about unedited facts in the tokenizer's chat template, each once; none without a template.

    Args:
        subjects: the pool's, by which rules of grammar tell a fact's question.
    """
    if not has_template(tokenizer):
        return []
    questions = (question(fact.prompt, subjects.by_fact.get(fact.fact_id), fact.target) for fact in unedited)
    return [chat_prompt(tokenizer, text) for text in dict.fromkeys(questions) if text]


def _about(template: str, subject: str) -> str:
    """The template about this subject; an article that both have stands once."""
    before = template.partition("{}")[0]
    doubled = before.lower().endswith("the ") and subject.lower().startswith("the ")
    return fill(template, subject[len("the ") :] if doubled else subject)


def chat_answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[str], tokens: int,
    show: ShowTexts = untold,
) -> list[Item]:  # fmt: skip
    """Each question in the tokenizer's chat template with the unedited model's greedy answer; none without a template.

    Args:
        tokens: length of an answer, at most.
        show: passes the answers on, and tells how many there are.
    """
    if not has_template(tokenizer) or not tokens:
        return []
    prompts = [chat_prompt(tokenizer, question) for question in questions]
    engine = TransformersGenerator(model, tokenizer, show)
    answers = engine.generate("", [Prompt(text=prompt, seed=0) for prompt in prompts], greedy(tokens))
    items = []
    for prompt, answer in zip(prompts, answers, strict=True):
        ids, longer = prompt_ids(tokenizer, prompt), prompt_ids(tokenizer, prompt + answer)
        tail = longer[len(ids) :] if longer[: len(ids)] == ids else []
        items.append(Item(prompt=tuple(ids), targets=((*tail, int(tokenizer.eos_token_id)),)))
    return items


def _held(item: Item, group: Group) -> Example:
    return Example(item=item, held_tokens=len(item.targets[0]), group=group)


def _last_token(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> Item:
    """The whole text as a prompt; what is held is the token after it, for which the end of text stands."""
    return Item(prompt=tuple(ids), targets=((int(tokenizer.eos_token_id),),))


def _all_tokens(ids: Sequence[int]) -> Item:
    return Item(prompt=(ids[0],), targets=(tuple(ids[1:]),))


def in_turns(choices: Sequence[T], count: int, seed: str) -> Callable[[int], list[T]]:
    """`count` of the choices, or all, at every step: all of them before one comes again, in an order of the seed's."""
    count = min(count, len(choices))
    order = Random(seed).sample(range(len(choices)), len(choices))
    return lambda step: [choices[order[(step * count + turn) % len(order)]] for turn in range(count)]
