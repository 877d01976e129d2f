"""RippleEdits (arXiv 2307.12976): edits of Wikidata facts with queries of six criteria.

A record has `edit` (`prompt`, the fact as a sentence; `original_fact` with the sentence before, but for recent facts)
and, by criterion, tests: lists of `test_queries` (`prompt`, `answers` of `value` and `aliases`) and of
`condition_queries`, in the same form. Logical_Generalization, Compositionality_I and II, and Subject_Aliasing follow
from the edit, Relation_Specificity must stay; Forgetfulness (other objects of a relation with several) is not scored.

A test counts where the unedited model answers its condition queries rightly. Of a condition with several answers every
one must be given, by any of its names, as released: each is a question of kind `condition` by itself.

A sentence ends in "is" and its object, so the object is what stands after the last "is" that the two sentences share,
or, of a recent fact, after its last one. No record names its subject: it is read off the prompts about it, where they
end alike, and is null elsewhere.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from lib.core.implied import ImpliedKind, ImpliedQuestion
from lib.core.params import Dataset, Facts, Own
from lib.core.records import FOUND, Fact, Request
from lib.data.dataset import Loaded, edited, file_of, template
from lib.data.files import parse, read_json
from lib.data.implied import KINDS, answers_of, joined
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow, RowError, shown

_IS = " is "
_SUBJECT = re.compile(r"\bof (?:the )?(?=\S)")


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first (test) or the last (validation) facts.limit records; the pool is the facts before the edit of
    all others.
    """
    file = read_json(file_of(files, "facts"), "ripple_edits")
    requests, rejects = parse(file, _request)
    edits = edited(len(requests), facts)
    edit_set = {*edits}
    return Loaded(
        requests=[requests[index] for index in edits],
        pool=[
            Fact(
                fact_id=request.request_id,
                subject=request.subject,
                relation=request.relation,
                prompt=request.prompt,
                target=request.target_true,
                template=request.template,
            )
            for index, request in enumerate(requests)
            if index not in edit_set and request.target_true is not None
        ],
        text=plain_text(files, facts),
        rejects=rejects,
        rows_of={file.name: file.size},
        notes_of={file.name: file.notes.remarks()},
        lines={request.request_id: (file.name, int(request.request_id) + 1) for request in requests},
    )


def _request(row: InputRow) -> Request:
    edit = row.record("edit")
    earlier = edit.record("original_fact").text("prompt") if edit.has("original_fact") else None
    prompt, target_new, target_true = _split(edit.text("prompt"), earlier)
    subject = _subject(prompt, list(_prompts(row, "Relation_Specificity")))
    return Request(
        request_id=str(row.line - 1),
        dataset="ripple_edits",
        subject=subject,
        relation=edit.optional_text("relation"),
        prompt=prompt,
        template=template(prompt, subject) if subject else None,
        target_new=target_new,
        target_true=target_true,
        implied=_implied(row),
    )


def _split(sentence: str, earlier: str | None) -> tuple[str, str, str | None]:
    """The prompt that two sentences share, and what each ends with; of one sentence its own prompt and object."""
    shared = len(sentence) if earlier is None else _shared(sentence, earlier)
    end = sentence.rfind(_IS, 0, shared)
    if end < 0:
        expected = "wanted a sentence that ends in 'is' and its object, and begins as the original fact does"
        raise RowError("edit.prompt", f"{expected}{FOUND}{shown(sentence)}")
    start = end + len(_IS)
    objects = [text[start:].strip().removesuffix(".").strip() for text in (sentence, earlier or "")]
    if not objects[0]:
        raise RowError("edit.prompt", f"wanted an object after 'is'{FOUND}{shown(sentence)}")
    return sentence[: start - 1], objects[0], objects[1] or None


def _shared(*sequences: Sequence[str]) -> int:
    """How many items all of them begin with alike."""
    return sum(1 for _ in takewhile(lambda items: len({*items}) == 1, zip(*sequences, strict=False)))


def _subject(prompt: str, queries: Sequence[str]) -> str | None:
    """What follows "of" in the words that `prompt` ends with as all of `queries` do; None where that is nothing."""
    reversed_words = [text.split()[::-1] for text in (prompt, *queries) if text.endswith(_IS.rstrip())]
    if len(reversed_words) < 2 or not prompt.endswith(_IS.rstrip()):
        return None
    shared = " ".join(reversed(reversed_words[0][: _shared(*reversed_words)]))
    match = _SUBJECT.search(shared)
    subject = shared[match.end() :].removesuffix("is").strip() if match else ""
    return subject or None


def _implied(row: InputRow) -> tuple[ImpliedQuestion, ...]:
    """The queries of the criteria that are scored, then the conditions that they name, each once."""
    kinds = ((criterion, KINDS.get(criterion.lower())) for criterion in row.values if row.has(criterion))
    tests = [(kind, test) for criterion, kind in kinds if kind is not None for test in row.records(criterion)]
    conditions = [[*_conditions(test)] for _, test in tests]
    questions = joined(
        question
        for (kind, test), own_conditions in zip(tests, conditions, strict=True)
        for question in _questions(test, kind, tuple(dict.fromkeys(item.prompt for item in own_conditions)))
    )
    return (*questions, *dict.fromkeys(item for own_conditions in conditions for item in own_conditions))


def _questions(test: InputRow, kind: ImpliedKind, requires: tuple[str, ...]) -> Iterator[ImpliedQuestion]:
    """The queries of a test, each with every answer and alias."""
    for query in test.records("test_queries"):
        answers = [name for names in _answers(query) for name in names]
        if answers:
            prompt = query.text("prompt")
            yield ImpliedQuestion(kind=kind, prompt=prompt, answers=tuple(dict.fromkeys(answers)), requires=requires)


def _conditions(test: InputRow) -> Iterator[ImpliedQuestion]:
    """A question for each answer of each condition of a test."""
    for query in test.records("condition_queries") if test.has("condition_queries") else ():
        for names in _answers(query):
            if names:
                yield ImpliedQuestion(kind="condition", prompt=query.text("prompt"), answers=names)


def _answers(query: InputRow) -> Iterator[tuple[str, ...]]:
    """Of every answer of a query its value and aliases."""
    for answer in query.records("answers"):
        texts = [answers_of(query, answer.value(name) or [], f"{query.within}answers.{name}")
                 for name in ("value", "aliases")]  # fmt: skip
        yield tuple(dict.fromkeys(text for names in texts for text in names))


def _prompts(row: InputRow, criterion: str) -> Iterator[str]:
    """The prompts of a criterion's queries."""
    tests = row.records(criterion) if row.has(criterion) else ()
    return (query.text("prompt") for test in tests for query in test.records("test_queries"))
