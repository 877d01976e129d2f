"""CounterFact in the schema of the ROME release (arXiv 2202.05262): counterfact.json and multi_counterfact.json."""

from collections.abc import Mapping
from pathlib import Path

from lib.core.params import Dataset, Facts, Own
from lib.core.records import Fact, LocalityPrompt, Reject, Request
from lib.core.texts import fill
from lib.data.dataset import Loaded, edited, file_of
from lib.data.files import RowFile, parse, read_json
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow, refuse_repeated
from lib.data.snippets import NO_SNIPPETS, Snippets, snippets


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first (test) or the last (validation) facts.limit records, as facts.draw orders them; all others
    are the pool.
    """
    references = snippets(files)
    first_lines: dict[str, int] = {}
    file, parsed, rejects = records(file_of(files, "facts"), first_lines, references)
    edits = edited(len(parsed), facts)
    edit_set = {*edits}
    return Loaded(
        requests=[parsed[index][0] for index in edits],
        pool=[fact for index, (_, fact) in enumerate(parsed) if index not in edit_set],
        text=plain_text(files, facts, references.titles),
        rejects=[*rejects, *references.rejects],
        rows_of={file.name: file.size, **references.rows_of},
        notes_of={file.name: file.notes.remarks(), **references.notes_of},
        lines={case_id: (file.name, line) for case_id, line in first_lines.items()},
    )


def records(
    path: Path, first_lines: dict[str, int], references: Snippets = NO_SNIPPETS
) -> tuple[RowFile, list[tuple[Request, Fact]], list[Reject]]:
    """The file, each of its records as a request and as the true fact that it would change, and its rejects.

    Args:
        first_lines: takes the line of every record, by case_id.
        references: texts about the new objects.
    """
    file = read_json(path)
    parsed, rejects = parse(file, lambda row: _record(row, first_lines, references))
    return file, parsed, rejects


def _record(row: InputRow, first_lines: dict[str, int], references: Snippets) -> tuple[Request, Fact]:
    rewrite = row.record("requested_rewrite")
    subject, relation, template = rewrite.subject("subject"), rewrite.text("relation_id"), rewrite.template("prompt")
    target_new, target_true = rewrite.record("target_new"), rewrite.record("target_true").answer("str")
    request = Request(
        request_id=row.key("case_id"),
        dataset="counterfact",
        subject=subject,
        relation=relation,
        prompt=fill(template, subject),
        template=template,
        target_new=target_new.answer("str"),
        target_true=target_true,
        paraphrases=row.optional_texts("paraphrase_prompts"),
        locality=tuple(
            LocalityPrompt(prompt=prompt, target=target_true) for prompt in row.optional_texts("neighborhood_prompts")
        ),
        generation_prompts=row.optional_texts("generation_prompts"),
        references=references.of(relation, target_new.optional_text("id")),
    )
    refuse_repeated(first_lines, request.request_id, row, "case_id")
    fact = Fact(
        fact_id=request.request_id,
        subject=subject,
        relation=relation,
        prompt=request.prompt,
        target=target_true,
        template=template,
        paraphrases=request.paraphrases,
        target_new=request.target_new,
        locality=request.locality,
    )
    return request, fact
