"""Edits as EasyEdit (arXiv 2308.07269) and KnowEdit (arXiv 2401.01286) write them: flat records, one JSON array.

    subject, prompt, target_new; ground_truth, rephrase_prompt, case_id (each optional)
    locality_prompt and locality_ground_truth (EasyEdit), or
    locality {kind: records or a record of prompt and ground_truth} (KnowEdit)

KnowEdit is released in two forms. In one, a kind of locality is a list of {prompt, ground_truth: lists of aliases};
in the other it is one {prompt: texts, ground_truth: texts}, the first alias of each. Both are read, and so are records
that call prompt, target_new and subject text, labels and concept. KnowEdit's `portability` and its locality about the
same subject become questions about what the edit implies (lib/data/implied.py).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.core.params import Dataset, Facts, Own
from lib.core.records import FOUND, Fact, LocalityPrompt, Request
from lib.data.dataset import Loaded, edited, file_of, template
from lib.data.files import parse, read_json
from lib.data.implied import knowedit_questions
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow, RowError, refuse_repeated, shown


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first (test) or the last (validation) facts.limit records of the file `facts`.

    The pool is the true facts of all other records that have one.
    """
    file = read_json(file_of(files, "facts"))
    first_lines: dict[str, int] = {}
    requests, rejects = parse(file, lambda row: request(row, "easyedit", locality(row), first_lines))
    edits = edited(len(requests), facts)
    edit_set = {*edits}
    return Loaded(
        requests=[requests[index] for index in edits],
        pool=[
            _fact(request, request.target_true)
            for index, request in enumerate(requests)
            if index not in edit_set and request.target_true is not None
        ],
        text=plain_text(files, facts),
        rejects=rejects,
        rows_of={file.name: file.size},
        notes_of={file.name: file.notes.remarks()},
        lines={case_id: (file.name, line) for case_id, line in first_lines.items()},
    )


def request(
    row: InputRow, dataset: str, locality_prompts: tuple[LocalityPrompt, ...], first_lines: dict[str, int]
) -> Request:
    """The record as a request that is scored on `locality_prompts`."""
    subject, prompt = row.subject(_name(row, "subject", "concept")), row.text(_name(row, "prompt", "text"))
    request_id = row.key("case_id") if row.has("case_id") else str(row.line - 1)
    refuse_repeated(first_lines, request_id, row, "case_id")
    return Request(
        request_id=request_id,
        dataset=dataset,
        subject=subject,
        relation=None,
        prompt=prompt,
        template=template(prompt, subject),
        target_new=row.answer_of(row.value(_name(row, "target_new", "labels")), "target_new"),
        target_true=row.optional_answer("ground_truth"),
        paraphrases=tuple(_texts(row, "rephrase_prompt")),
        locality=locality_prompts,
        implied=knowedit_questions(row),
    )


def locality(row: InputRow) -> tuple[LocalityPrompt, ...]:
    """The record's own locality prompts, each with its first answer; of one prompt with several answers, the first."""
    answers: dict[str, str] = {}
    if row.has("locality_prompt"):
        answers[row.text("locality_prompt")] = row.answer("locality_ground_truth")
    kinds = row.record("locality") if row.has("locality") else None
    for kind, value in kinds.items() if kinds else ():
        for prompt, answer in _pairs(row, value, f"locality.{kind}"):
            answers.setdefault(prompt, answer)
    return tuple(LocalityPrompt(prompt=prompt, target=answer) for prompt, answer in answers.items())


def _fact(request: Request, target: str) -> Fact:
    return Fact(
        fact_id=request.request_id,
        subject=request.subject,
        relation=request.relation,
        prompt=request.prompt,
        target=target,
        template=request.template,
    )


def _pairs(row: InputRow, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Prompts and first answers of one kind of locality, in either form."""
    for index, record in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(record, Mapping):
            raise RowError(path, f"wanted records of prompt and ground_truth{FOUND}{shown(record)}")
        pair = row.inner(record, f"{path}[{index}]")
        prompts, answers = pair.value("prompt"), pair.value("ground_truth")
        if isinstance(prompts, str):
            prompts, answers = [prompts], [answers]
        if not (isinstance(prompts, list) and isinstance(answers, list) and len(prompts) == len(answers)):
            expected = "wanted a prompt with its answers, or as many answers as prompts"
            raise RowError(f"{path}[{index}]", f"{expected}{FOUND}{shown(record)}")
        for prompt, answer in zip(prompts, answers, strict=True):
            yield (
                row.answer_of(prompt, f"{path}[{index}].prompt"),
                row.answer_of(answer, f"{path}[{index}].ground_truth"),
            )


def _name(row: InputRow, *names: str) -> str:
    """The first of these fields that the row has, else the first."""
    return next((name for name in names if row.has(name)), names[0])


def _texts(row: InputRow, name: str) -> list[str]:
    """A text, or texts; none where the field is absent."""
    if not row.has(name):
        return []
    return list(row.texts(name)) if isinstance(row.value(name), list) else [row.text(name)]
