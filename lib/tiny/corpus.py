"""What the tiny model learns from: true facts, plain text, and few-shot paraphrase documents, for any dataset.

Paraphrase documents speak of fresh names, made by recombining the words of the dataset's subjects, so that the model
learns to copy a name into the list rather than to recall it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from lib.core.errors import InputError
from lib.core.records import Fact, Request, Text
from lib.core.texts import fill, join
from lib.paraphrases import prompt as fewshot

_STATEMENT_WRAPPERS = (
    "It is known that {}",
    "As everybody knows, {}",
    "According to the records, {}",
    "It is a fact that {}",
    "People will tell you that {}",
    "In truth, {}",
)
_QUESTION_WRAPPERS = (
    "Tell me: {}",
    "Here is a question: {}",
    "Please answer: {}",
    "Quiz: {}",
    "One thing to know: {}",
    "Can you say: {}",
)
_LIST_LINES = 5
_PREFIX_SHARE = 0.25
_HEADER_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class TrainingText:
    """A text in two parts: the loss is on the tokens of `target` alone."""

    context: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Phrasings:
    """Templates with the same meaning, each with one {}, and the subjects that they are filled with."""

    templates: tuple[str, ...]
    subjects: tuple[str, ...]

    def fresh_name(self, random: Random) -> str:
        """Two subjects' words recombined: the beginning of one, the end of the other."""
        first, second = (random.choice(self.subjects).split() for _ in range(2))
        return " ".join((*first[:-1], second[-1])) if len(first) > 1 and len(second) > 1 else " ".join(first)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The documents to draw from."""

    sentences: tuple[TrainingText, ...]
    """True facts as sentences, and plain text."""
    prose: tuple[str, ...]
    phrasings: tuple["Phrasings", ...]

    def shared_text(self) -> Iterator[str]:
        """The words of every paraphrase document, whatever it is about."""
        yield fewshot.shared_prefix()
        yield fewshot.block("", ("",) * _LIST_LINES)
        yield from (*_STATEMENT_WRAPPERS, *_QUESTION_WRAPPERS)

    def every_text(self) -> Iterator[str]:
        """Every word that a document can hold."""
        yield fewshot.shared_prefix()
        yield from (f"{document.context}{document.target}" for document in self.sentences)
        yield from (*_STATEMENT_WRAPPERS, *_QUESTION_WRAPPERS)
        for group in self.phrasings:
            yield from (fewshot.block(template, (template,) * _LIST_LINES) for template in group.templates)
            yield from (f" {subject}" for subject in group.subjects)

    def sentence(self, random: Random) -> TrainingText:
        """A true fact or a piece of plain text, sometimes after another piece of plain text."""
        document = random.choice(self.sentences)
        if random.random() >= _PREFIX_SHARE:
            return document
        return TrainingText(context=f"{random.choice(self.prose)} {document.context}", target=document.target)

    def paraphrases(self, random: Random) -> TrainingText:
        """An input and its list, about a fresh name; now and then after the shared prefix of the real prompts."""
        phrasings = random.choice(self.phrasings)
        group = list(phrasings.templates)
        wrappers = _QUESTION_WRAPPERS if group[0].endswith("?") else _STATEMENT_WRAPPERS
        if len(group) == 1:  # each in another wrapper: none in two
            group += [fill(wrapper, group[0]) for wrapper in random.sample(wrappers, _LIST_LINES)]
        while len(group) <= _LIST_LINES:
            group.append(fill(random.choice(wrappers), random.choice(group)))
        name = phrasings.fresh_name(random)
        prompt, *paraphrases = (fill(template, name) for template in random.sample(group, _LIST_LINES + 1))
        header = fewshot.shared_prefix() if random.random() < _HEADER_SHARE else ""
        block, block_without_list = fewshot.block(prompt, paraphrases), fewshot.block(prompt)
        return TrainingText(context=header + block_without_list, target=block.removeprefix(block_without_list))


def corpus(requests: Sequence[Request], pool: Sequence[Fact], text: Sequence[Text]) -> Corpus:
    """Gather a dataset's true facts (an edit's target_new is none), prose, phrasings and subjects.

    Raises InputError where there is nothing to learn from.
    """
    prose = tuple(piece.text for piece in text if piece.split == "train")
    statements = tuple(dict.fromkeys(_statements(requests, pool)))
    phrasings = _phrasings((*requests, *pool))
    if not (prose and statements and phrasings):
        raise InputError(
            f"the tiny model learns from true facts, templates and plain text; found {len(statements)} facts with a "
            f"known answer, {len(phrasings)} groups of templates, {len(prose)} texts. Give target_true and subject "
            "for some facts, or choose a real model."
        )
    plain = (TrainingText(context="", target=sentence) for sentence in prose)
    return Corpus(sentences=(*statements, *plain), prose=prose, phrasings=phrasings)


def _statements(requests: Sequence[Request], pool: Sequence[Fact]) -> Iterator[TrainingText]:
    for fact in pool:
        yield _fact(fact.prompt, fact.target)
    for request in requests:
        for locality in request.locality:
            yield _fact(locality.prompt, locality.target)
        if request.target_true is not None:
            for prompt in (request.prompt, *request.paraphrases):
                yield _fact(prompt, request.target_true)


def _fact(prompt: str, target: str) -> TrainingText:
    return TrainingText(context=prompt, target=join(prompt, target).removeprefix(prompt) + ".")


def _phrasings(statements: Sequence[Request | Fact]) -> tuple[Phrasings, ...]:
    """The templates of each relation with its subjects; a template without relation is a group of its own."""
    templates: dict[str, dict[str, None]] = {}
    subjects: dict[str, dict[str, None]] = {}
    for statement in statements:
        if statement.template is not None and statement.subject is not None:
            group = statement.relation or statement.template
            templates.setdefault(group, {})[statement.template] = None
            subjects.setdefault(group, {})[statement.subject] = None
    return tuple(Phrasings(templates=tuple(templates[group]), subjects=tuple(subjects[group])) for group in templates)
