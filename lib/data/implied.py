"""Questions about what edits imply, as KnowEdit, RippleEdits and MQuAKE release them, by one set of kinds."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lib.core.implied import ImpliedKind, ImpliedQuestion
from lib.core.texts import identity
from lib.data.rows import InputRow, RowError

KINDS: Mapping[str, ImpliedKind] = {
    "subject_aliasing": "alias",
    "logical_generalization": "reversed",
    "reasoning": "two_hops",
    "compositionality_i": "two_hops",
    "compositionality_ii": "two_hops",
    "one_hop": "two_hops",
    "relation_specificity": "same_subject",
    "relation_specifity": "same_subject",
}
"""By a release's name in lower case. EasyEdit's one_hop is one hop beyond the edit: two facts."""


def chain_kind(facts: int) -> ImpliedKind:
    """The kind of a question that takes a chain of so many facts."""
    return "one_hop" if facts < 2 else "two_hops" if facts == 2 else "more_hops"


def knowedit_questions(row: InputRow) -> tuple[ImpliedQuestion, ...]:
    """The questions of `portability`, and of `locality` those about the same subject, in either of KnowEdit's forms."""
    pairs = [
        (kind, prompt, answers)
        for name in ("portability", "locality")
        if row.has(name) and isinstance(row.value(name), Mapping)
        for label, value in row.record(name).items()
        if (kind := _kind(row, name, label)) is not None
        for prompt, answers in _pairs(row, value, f"{name}.{label}")
    ]
    return joined(ImpliedQuestion(kind=kind, prompt=prompt, answers=answers) for kind, prompt, answers in pairs)


def joined(questions: Iterable[ImpliedQuestion]) -> tuple[ImpliedQuestion, ...]:
    """The questions, each prompt once in a kind: what is right for it anywhere is right; it requires what each does."""
    by_prompt: dict[tuple[str, str], ImpliedQuestion] = {}
    for question in questions:
        key = (question.kind, identity(question.prompt))
        earlier = by_prompt.get(key, question)
        answers = tuple(dict.fromkeys([*earlier.answers, *question.answers]))
        requires = tuple(dict.fromkeys([*earlier.requires, *question.requires]))
        by_prompt[key] = replace(earlier, answers=answers, requires=requires)
    return tuple(by_prompt.values())


def answers_of(row: InputRow, value: Any, path: str) -> tuple[str, ...]:
    """Every answer in `value`: a text, or texts in lists however nested; none where it holds none that can be used."""
    if isinstance(value, list):
        return tuple(dict.fromkeys(answer for item in value for answer in answers_of(row, item, path)))
    try:
        return (row.answer_of(value, path),)
    except RowError:
        row.notes.add(f"{path}: answers that are no text left out", row.line)
        return ()


def _kind(row: InputRow, name: str, label: str) -> ImpliedKind | None:
    """The kind of the questions under a release's name; None where they are none of these, which is noted."""
    kind = KINDS.get(label.lower())
    if name == "portability" and kind is None:
        row.notes.add(f"portability.{label}: not a kind of question that is scored", row.line)
    return kind if (kind == "same_subject") == (name == "locality") else None


def _pairs(row: InputRow, value: Any, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Prompts with their answers of one kind, in either form; what has no prompt or no answer is left out, and noted.

    An edit is not lost for a question about it.
    """
    for record in value if isinstance(value, list) else [value]:
        prompts, answers = (record.get("prompt"), record.get("ground_truth")) if isinstance(record, Mapping) else (0, 0)
        if isinstance(prompts, str):
            prompts, answers = [prompts], [answers]
        if not (isinstance(prompts, list) and isinstance(answers, list) and len(prompts) == len(answers)):
            row.notes.add(f"{path}: wanted a prompt with its answers; others left out", row.line)
            continue
        for prompt, right in zip(prompts, answers, strict=True):
            (text,) = answers_of(row, prompt, f"{path}.prompt")[:1] or ("",)
            accepted = answers_of(row, right, f"{path}.ground_truth")
            if text and accepted:
                yield text, accepted
