"""WikiRecent of KnowEdit (arXiv 2401.01286), as "Model Editing by Standard Fine-Tuning" (arXiv 2402.11078) uses it.

Its records have no true answer and no paraphrases. Their questions of portability, and those about other relations of
the same subject, are scored as what the edit implies. For locality each edit is scored on random neighborhood prompts
of CounterFact; its generalization prompts are made by stage `paraphrase`. The pool is CounterFact's, too: of records
that no neighborhood prompt comes from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from lib.core.errors import InputError
from lib.core.params import Dataset, Facts, Neighborhood, Own
from lib.core.records import Fact, LocalityPrompt, Request
from lib.data.dataset import Loaded, edited, file_of
from lib.data.files import parse, read_json
from lib.data.plain_text import plain_text
from lib.datasets import counterfact, easyedit


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first facts.limit records of the file of the split."""
    if preset.neighborhood is None:
        raise InputError("dataset preset: neighborhood: wanted how to draw CounterFact's prompts; found null")
    first_lines: dict[str, int] = {}
    file = read_json(file_of(files, facts.split))
    requests, rejects = parse(file, lambda row: easyedit.request(row, "wikirecent", (), first_lines))
    pool_file, records, pool_rejects = counterfact.records(file_of(files, "counterfact"), {})
    neighborhood, pool = _parted(records, preset.neighborhood, facts.split)
    edits = edited(len(requests), facts.model_copy(update={"split": "test"}))  # each split has a file of its own
    return Loaded(
        requests=[
            _with_neighborhood(requests[index], neighborhood, preset.neighborhood.n, facts.seed) for index in edits
        ],
        pool=pool,
        text=plain_text(files, facts),
        rejects=[*rejects, *pool_rejects],
        rows_of={file.name: file.size, pool_file.name: pool_file.size},
        notes_of={read.name: read.notes.remarks() for read in (file, pool_file)},
        lines={case_id: (file.name, line) for case_id, line in first_lines.items()},
    )


def _parted(
    records: Sequence[tuple[Request, Fact]], shares: Neighborhood, split: str
) -> tuple[list[LocalityPrompt], list[Fact]]:
    """The neighborhood prompts of the split's records (test, then validation); the facts of the records after them."""
    test, evaluated = int(shares.test * len(records)), int((shares.test + shares.validation) * len(records))
    part = records[:test] if split == "test" else records[test:evaluated]
    prompts = {locality.prompt: locality for request, _ in part for locality in request.locality}
    return list(prompts.values()), [fact for _, fact in records[evaluated:]]


def _with_neighborhood(request: Request, neighborhood: Sequence[LocalityPrompt], n: int, seed: int) -> Request:
    """The request with `n` different prompts (all, where there are fewer), independent of the other requests."""
    locality = Random(f"{seed}/neighborhood/{request.request_id}").sample(neighborhood, min(n, len(neighborhood)))
    return replace(request, locality=tuple(locality))
