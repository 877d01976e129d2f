"""WikiBigEdit (arXiv 2503.05683): changes of Wikidata as questions, in the order in which they came about.

Its release has update, ans, subject, rephrase, personas, loc, loc_ans, mhop and mhop_ans; flat files made from it have
EasyEdit's names (prompt, target_new, rephrase_prompt, locality_prompt, locality_ground_truth). Both are read. The
multi-hop question is one about what the edit implies; personas are the question in other words.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lib.core.implied import ImpliedQuestion
from lib.core.params import Dataset, Facts, Own
from lib.core.records import Fact, LocalityPrompt, Request
from lib.data.dataset import Loaded, edited, file_of, template
from lib.data.files import parse, read_json
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow, refuse_repeated
from lib.datasets import easyedit


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first (test) or the last (validation) facts.limit records.

    No record has a true answer, so the pool is the locality questions of the other records.
    """
    file = read_json(file_of(files, "facts"))
    first_lines: dict[str, int] = {}
    requests, rejects = parse(file, lambda row: _request(row, first_lines))
    edits = edited(len(requests), facts)
    edit_set = {*edits}
    return Loaded(
        requests=[requests[index] for index in edits],
        pool=[
            Fact(
                fact_id=f"{request.request_id}/locality/{number}",
                subject=None,
                relation=None,
                prompt=locality.prompt,
                target=locality.target,
            )
            for index, request in enumerate(requests)
            if index not in edit_set
            for number, locality in enumerate(request.locality)
        ],
        text=plain_text(files, facts),
        rejects=rejects,
        rows_of={file.name: file.size},
        notes_of={file.name: file.notes.remarks()},
        lines={case_id: (file.name, line) for case_id, line in first_lines.items()},
    )


def _request(row: InputRow, first_lines: dict[str, int]) -> Request:
    if row.has("update"):
        return _released(row, first_lines)
    request = easyedit.request(row, "wikibigedit", easyedit.locality(row), first_lines)
    return replace(request, implied=request.implied or _multi_hop(row))


def _released(row: InputRow, first_lines: dict[str, int]) -> Request:
    """A record under the release's own names."""
    prompt, subject = row.text("update"), row.subject("subject")
    request_id = str(row.line - 1)
    has_locality = row.has("loc") and row.has("loc_ans")
    locality = (LocalityPrompt(prompt=row.text("loc"), target=row.answer("loc_ans")),) if has_locality else ()
    phrasings = (row.optional_text("rephrase"), row.optional_text("personas"))
    request = Request(
        request_id=request_id,
        dataset="wikibigedit",
        subject=subject,
        relation=row.optional_text("relation"),
        prompt=prompt,
        template=template(prompt, subject),
        target_new=row.answer("ans"),
        target_true=None,
        paraphrases=tuple(text for text in phrasings if text),
        locality=locality,
        implied=_multi_hop(row),
    )
    refuse_repeated(first_lines, request_id, row, "case_id")
    return request


def _multi_hop(row: InputRow) -> tuple[ImpliedQuestion, ...]:
    if not (row.has("mhop") and row.has("mhop_ans")):
        return ()
    return (ImpliedQuestion(kind="two_hops", prompt=row.text("mhop"), answers=(row.answer("mhop_ans"),)),)
