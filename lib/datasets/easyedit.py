"""Edits as EasyEdit (arXiv 2308.07269) and KnowEdit (arXiv 2401.01286) write them: flat records, one JSON array.

    subject, prompt, target_new; ground_truth, rephrase_prompt, case_id (each optional)
    locality_prompt and locality_ground_truth (EasyEdit), or
    locality {kind: records or a record of prompt and ground_truth} (KnowEdit)

KnowEdit is released in two forms. In one, a kind of locality is a list of {prompt, ground_truth: lists of aliases};
in the other it is one {prompt: texts, ground_truth: texts}, the first alias of each. Both are read, and so are records
that call prompt, target_new and subject text, labels and concept. Portability is not scored, and not read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.core.params import Dataset, Facts, Own
from lib.core.records import FOUND, Fact, LocalityPrompt, Request
from lib.data.dataset import Loaded, edited, file_of, template
from lib.data.files import parse, read_json
from lib.data.plain_text import plain_text
from lib.data.rows import Row, RowError, refuse_repeated, shown


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first (test) or the last (validation) facts.limit records of the file `facts`.

    The pool is the true facts, where they are given, of all others.
    """
    file = read_json(file_of(files, "facts"))
    first_lines: dict[str, int] = {}
    requests, rejects = parse(file, lambda row: request(row, "easyedit", locality(row), first_lines))
    chosen = edited(len(requests), facts)
    return Loaded(
        requests=[requests[place] for place in chosen],
        pool=[
            _fact(one, one.target_true)
            for place, one in enumerate(requests)
            if place not in chosen and one.target_true is not None
        ],
        text=plain_text(files, facts),
        rejects=rejects,
        rows_of={file.name: file.size},
    )


def request(row: Row, dataset: str, kept: tuple[LocalityPrompt, ...], first_lines: dict[str, int]) -> Request:
    """The record as an edit that is scored on the locality prompts `kept`."""
    subject, prompt = _named(row, "subject", "concept"), _named(row, "prompt", "text")
    request_id = row.key("case_id") if row.has("case_id") else str(row.line - 1)
    refuse_repeated(first_lines, request_id, row, "case_id")
    return Request(
        request_id=request_id,
        dataset=dataset,
        subject=subject,
        relation=None,
        prompt=prompt,
        template=template(prompt, subject),
        target_new=_first(_any(row, "target_new", "labels"), "target_new"),
        target_true=_first(row.values["ground_truth"], "ground_truth") if row.has("ground_truth") else None,
        paraphrases=tuple(_texts(row, "rephrase_prompt")),
        locality=kept,
    )


def locality(row: Row) -> tuple[LocalityPrompt, ...]:
    """The record's own locality prompts, each with its first answer; of one prompt with several answers, the first."""
    found: dict[str, str] = {}
    if row.has("locality_prompt"):
        found[row.text("locality_prompt")] = _first(row.values.get("locality_ground_truth"), "locality_ground_truth")
    kinds = row.record("locality") if row.has("locality") else None
    for kind in kinds.values if kinds else ():
        for prompt, answer in _pairs(kinds.values[kind], f"locality.{kind}") if kinds else ():
            found.setdefault(prompt, answer)
    return tuple(LocalityPrompt(prompt=prompt, target=answer) for prompt, answer in found.items())


def _fact(one: Request, target: str) -> Fact:
    return Fact(
        fact_id=one.request_id,
        subject=one.subject,
        relation=one.relation,
        prompt=one.prompt,
        target=target,
        template=one.template,
    )


def _pairs(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Prompts and first answers of one kind of locality, in either form."""
    for place, one in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(one, Mapping):
            raise RowError(path, f"wanted records of prompt and ground_truth{FOUND}{shown(one)}")
        prompts, answers = one.get("prompt"), one.get("ground_truth")
        if isinstance(prompts, str):
            prompts, answers = [prompts], [answers]
        if not (isinstance(prompts, list) and isinstance(answers, list) and len(prompts) == len(answers)):
            wanted = "wanted a prompt with its answers, or as many answers as prompts"
            raise RowError(f"{path}[{place}]", f"{wanted}{FOUND}{shown(one)}")
        for prompt, answer in zip(prompts, answers, strict=True):
            yield _first(prompt, f"{path}[{place}].prompt"), _first(answer, f"{path}[{place}].ground_truth")


def _named(row: Row, *names: str) -> str:
    """The text of the first of these fields that is there."""
    return row.text(next((name for name in names if row.has(name)), names[0]))


def _any(row: Row, *names: str) -> Any:
    return next((row.values[name] for name in names if row.has(name)), None)


def _texts(row: Row, name: str) -> list[str]:
    """A text, or texts; none where the field is absent."""
    if not row.has(name):
        return []
    return list(row.texts(name)) if isinstance(row.values[name], list) else [row.text(name)]


def _first(value: Any, path: str) -> str:
    """A text, or the first one of a list, or of a list of lists: the first alias of the first answer."""
    while isinstance(value, list) and value:
        value = value[0]
    return Row(line=0, values={path: value}).text(path)
