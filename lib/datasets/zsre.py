"""ZsRE question answering in the schema of the MEND release (arXiv 2110.11309): edits from its evaluation file, the
pool from its training file.

The preset's `target` names the protocol. `answers`: to the true answer (ROME and MEMIT releases); `alt`: from the true
answer to another one (RECT, arXiv 2401.04700).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from lib.core.errors import InputError
from lib.core.params import Dataset, Facts, Own
from lib.core.records import Fact, LocalityPrompt, Request
from lib.core.texts import same
from lib.data.dataset import Loaded, edited, file_of, template
from lib.data.files import parse, read_json
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow, RowError


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first (test) or the last (validation) facts.limit records of the evaluation file."""
    target = preset.target
    if target is None:
        raise InputError("dataset preset: target: wanted answers or alt for zsre; found null")
    evaluation, training = read_json(file_of(files, "edits")), read_json(file_of(files, "pool"))
    requests, rejects = parse(evaluation, lambda row: _request(row, target))
    pool, pool_rejects = parse(training, _pool_fact)
    return Loaded(
        requests=[requests[index] for index in edited(len(requests), facts)],
        pool=pool,
        text=plain_text(files, facts),
        rejects=[*rejects, *pool_rejects],
        rows_of={evaluation.name: evaluation.size, training.name: training.size},
        notes_of={file.name: file.notes.remarks() for file in (evaluation, training)},
        lines={request.request_id: (evaluation.name, int(request.request_id) + 1) for request in requests},
    )


def _request(row: InputRow, target: Literal["answers", "alt"]) -> Request:
    fact = _fact(row)
    return Request(
        request_id=fact.fact_id,
        dataset="zsre",
        subject=fact.subject,
        relation=None,
        prompt=fact.prompt,
        template=fact.template,
        target_new=fact.target if target == "answers" else row.answer("alt"),
        target_true=None if target == "answers" else fact.target,
        paraphrases=(row.text("rephrase"),),
        locality=(_locality(row),),
    )


def _locality(row: InputRow) -> LocalityPrompt:
    """The releases ask loc + "?"; copies of the dataset exist in which the mark is there already."""
    return LocalityPrompt(prompt=row.text("loc").removesuffix("?") + "?", target=row.answer("loc_ans"))


def _pool_fact(row: InputRow) -> Fact:
    """The true fact with what MEND trains on beside it, where the record has it: rephrase, alt and loc."""
    fact, alternative = _fact(row), row.answer("alt") if row.has("alt") else None
    return replace(
        fact,
        paraphrases=(row.text("rephrase"),) if row.has("rephrase") else (),
        target_new=alternative if alternative and not same(alternative, fact.target) else None,
        locality=(_locality(row),) if row.has("loc") and row.has("loc_ans") else (),
    )


def _fact(row: InputRow) -> Fact:
    """The true fact, named by its 0-based position in the file, as in the ROME release."""
    subject, prompt, answers = row.subject("subject"), row.text("src"), row.value("answers")
    if answers == []:
        raise RowError("answers", "empty")
    return Fact(
        fact_id=str(row.line - 1),
        subject=subject,
        relation=None,
        prompt=prompt,
        target=row.answer("answers"),
        template=template(prompt, subject),
    )
