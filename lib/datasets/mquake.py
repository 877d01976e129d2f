"""MQuAKE (arXiv 2305.14795): edits with questions over chains of facts, of which at least one is edited.

MQuAKE-CF (counterfactual edits) and MQuAKE-T (temporal ones) have one schema: a case has `requested_rewrite`, one to
four edits; `questions`, one question in three wordings, with `new_answer` and its aliases; and the chain, fact by fact,
in `single_hops` before and `new_single_hops` after the edits.

Each edit is a request; the edit's own question is its paraphrase. The case's questions, and those of its unedited
facts, belong to its last edit: before that they cannot be answered. An edit that several cases share is made once.
Where one case edits a fact of another's chain otherwise, the other's questions have no right answer in the same model
and are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib.core.implied import ImpliedQuestion
from lib.core.params import Dataset, Facts, Own
from lib.core.records import FOUND, Fact, Request
from lib.core.texts import fill, identity
from lib.data.dataset import Loaded, edited, file_of
from lib.data.files import RowFile, parse, read_json
from lib.data.implied import answers_of, chain_kind, joined
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow, RowError, refuse_repeated, shown

Link = tuple[str, str, str]
"""Subject, relation and object of a fact, as Wikidata ids."""


@dataclass(frozen=True, kw_only=True)
class ChainCase:
    """One record: its edits, and what they imply together."""

    edits: tuple[Request, ...]
    questions: tuple[ImpliedQuestion, ...]
    chain: tuple[Link, ...]
    """The facts that the questions rest on after the edits; empty where the record does not name them."""
    changed: tuple[Link, ...]
    """The edits."""


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are those of the first (test) or the last (validation) facts.limit cases; the pool is the true facts of
    all other cases.
    """
    file = read_json(file_of(files, "facts"), "mquake")
    first_lines: dict[str, int] = {}
    cases, rejects = parse(file, lambda row: _case(row, first_lines))
    numbers = edited(len(cases), facts)
    chosen_cases = _answerable([cases[number] for number in numbers], file)
    requests = _merged(chosen_cases)
    edit_prompts = {identity(request.prompt) for request in requests}
    number_set = {*numbers}
    pool_cases = [case for number, case in enumerate(cases) if number not in number_set]
    return Loaded(
        requests=requests,
        pool=[fact for fact in _pool(pool_cases) if identity(fact.prompt) not in edit_prompts],
        text=plain_text(files, facts),
        rejects=rejects,
        rows_of={file.name: file.size},
        notes_of={file.name: file.notes.remarks()},
        lines={request.request_id: (file.name, first_lines[request.request_id]) for request in requests},
    )


def _case(row: InputRow, first_lines: dict[str, int]) -> ChainCase:
    case_id = row.key("case_id")
    rewrites = row.records("requested_rewrite")
    if not rewrites:
        raise RowError("requested_rewrite", f"wanted one edit or more{FOUND}none")
    edits = tuple(
        _edit(rewrite, case_id if len(rewrites) == 1 else f"{case_id}.{number}")
        for number, rewrite in enumerate(rewrites, 1)
    )
    links = {name: _links(row, name) for name in ("new_triples", "edit_triples")}
    case = ChainCase(
        edits=edits, questions=joined(_questions(row, edits)), chain=links["new_triples"], changed=links["edit_triples"]
    )
    for key in (case_id, *(edit.request_id for edit in edits)):  # of case 1.5 and of the fifth edit of case 1 it is one
        refuse_repeated(first_lines, key, row, "case_id")
    return case


def _edit(rewrite: InputRow, request_id: str) -> Request:
    subject, pattern = rewrite.subject("subject"), rewrite.template("prompt")
    question = rewrite.optional_text("question")
    return Request(
        request_id=request_id,
        dataset="mquake",
        subject=subject,
        relation=rewrite.optional_text("relation_id"),
        prompt=fill(pattern, subject),
        template=pattern,
        target_new=rewrite.record("target_new").answer("str"),
        target_true=rewrite.record("target_true").answer("str"),
        paraphrases=(question,) if question else (),
    )


def _questions(row: InputRow, edits: Sequence[Request]) -> Iterator[ImpliedQuestion]:
    """The case's questions over its chain, and a question for each fact of the chain that no edit changes."""
    hops = row.records("new_single_hops") if row.has("new_single_hops") else []
    if row.has("new_answer"):
        answers = _answers(row, "new_answer")
        kind = chain_kind(len(hops) or 2)
        earlier = row.optional_answer("answer")
        for prompt in row.texts("questions"):
            yield ImpliedQuestion(kind=kind, prompt=prompt, answers=answers, earlier=earlier)
    edit_questions = {identity(text) for edit in edits for text in edit.evaluation_prompts}
    for hop in hops:
        question = hop.text("question")
        if not edit_questions & {identity(question), identity(hop.optional_text("cloze") or question)}:
            yield ImpliedQuestion(kind="one_hop", prompt=question, answers=_answers(hop, "answer"))


def _answers(row: InputRow, name: str) -> tuple[str, ...]:
    """The answer and its other names."""
    aliases = answers_of(row, row.value(f"{name}_alias") or [], f"{row.within}{name}_alias")
    return tuple(dict.fromkeys([row.answer(name), *aliases]))


def _links(row: InputRow, name: str) -> tuple[Link, ...]:
    """A list of `orig`; empty where there is none."""
    values = row.record("orig").value(name) if row.has("orig") else None
    if values is None:
        return ()
    if not (isinstance(values, list) and all(isinstance(link, list) and len(link) == 3 for link in values)):
        raise RowError(f"{row.within}orig.{name}", f"wanted a list of facts of three ids each{FOUND}{shown(values)}")
    return tuple((str(subject), str(relation), str(target)) for subject, relation, target in values)


def _answerable(cases: Sequence[ChainCase], file: RowFile) -> list[ChainCase]:
    """The cases, without questions where another case of them edits a fact of their chain to another object."""
    objects: dict[tuple[str, str], set[str]] = {}
    for case in cases:
        for subject, relation, target in case.changed:
            objects.setdefault((subject, relation), set()).add(target)
    answerable = [
        case
        if all(objects.get(link[:2], {link[2]}) == {link[2]} for link in case.chain)
        else replace(case, questions=())
        for case in cases
    ]
    lost = sum(bool(case.questions) for case in cases) - sum(bool(case.questions) for case in answerable)
    if lost:
        file.notes.add(f"questions of {lost} cases left out: an edit of another case changes a fact of their chain")
    return answerable


def _merged(cases: Sequence[ChainCase]) -> list[Request]:
    """The edits of all cases, each once, and with its last case's questions: a later edit of the case has them."""
    requests: dict[tuple[str, str], Request] = {}
    for case in cases:
        keys = [(identity(edit.prompt), identity(edit.target_new)) for edit in case.edits]
        for key, edit in zip(keys, case.edits, strict=True):
            requests.setdefault(key, edit)
        order = list(requests)
        last = max(keys, key=order.index)
        request = requests[last]
        requests[last] = replace(request, implied=joined([*request.implied, *case.questions]))
    return list(requests.values())


def _pool(cases: Sequence[ChainCase]) -> Iterator[Fact]:
    """The true facts of the edits of `cases`, each prompt once."""
    edits = {identity(edit.prompt): edit for case in cases for edit in case.edits}
    for edit in edits.values():
        assert edit.target_true is not None
        yield Fact(
            fact_id=edit.request_id,
            subject=edit.subject,
            relation=edit.relation,
            prompt=edit.prompt,
            target=edit.target_true,
            template=edit.template,
            target_new=edit.target_new,
        )
