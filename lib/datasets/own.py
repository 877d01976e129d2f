"""The user's own facts: a CSV, JSON, JSON Lines or Parquet file with at least the columns prompt and target_new.

Its pool of unedited facts, and its plain text, are those of another dataset (own.pool).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from lib import datasets
from lib.core.joins import Separator
from lib.core.params import Dataset, Facts, Own
from lib.core.records import FOUND, LocalityPrompt, Request
from lib.data.columns import with_columns
from lib.data.dataset import Loaded, edited, file_of, template
from lib.data.files import parse, read
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow, RowError, refuse_repeated, shown

COLUMNS = (
    "prompt", "target_new", "subject", "target_true", "paraphrases", "locality", "relation", "id", "train_paraphrases",
    "join",
)  # fmt: skip
REQUIRED = COLUMNS[:2]
BETWEEN_ITEMS = " | "
BEFORE_TARGET = "=>"


def load(files: Mapping[str, Path], facts: Facts, preset: Dataset, own: Own) -> Loaded:
    """Edits are the first (test) or the last (validation) facts.limit rows of the file."""
    path = file_of(files, "own")
    file = with_columns(read(path), COLUMNS, REQUIRED, path)
    first_lines: dict[str, int] = {}
    in_cells = path.suffix.lower() == ".csv"
    requests, rejects = parse(file, lambda row: _request(_from_cells(row) if in_cells else row, first_lines))
    pool = _pool(files, facts, own)
    return replace(
        pool,
        requests=[requests[index] for index in edited(len(requests), facts)],
        rejects=[*rejects, *pool.rejects],
        rows_of={file.name: file.size, **pool.rows_of},
        notes_of={file.name: file.notes.remarks(), **pool.notes_of},
        lines={request_id: (file.name, line) for request_id, line in first_lines.items()},
    )


def _pool(files: Mapping[str, Path], facts: Facts, own: Own) -> Loaded:
    """The dataset that own.pool names, with no edit taken out of its pool."""
    preset = datasets.pool_preset(own)
    if preset is None:
        return Loaded(requests=[], pool=[], text=plain_text({}, facts), rejects=[], rows_of={})
    return datasets.load(preset.loader, files, facts.model_copy(update={"limit": 0}), preset, own)


def _request(row: InputRow, first_lines: dict[str, int]) -> Request:
    prompt, subject = row.text("prompt"), row.subject("subject") if row.has("subject") else None
    if subject and subject not in prompt and "{}" in prompt:
        raise RowError("prompt", f"wanted the subject written in place of {{}}{FOUND}{shown(prompt)}")
    request = Request(
        request_id=row.key("id") if row.has("id") else f"line-{row.line}",
        dataset="own",
        subject=subject,
        relation=row.optional_text("relation"),
        prompt=prompt,
        template=template(prompt, subject) if subject else None,
        target_new=row.answer("target_new"),
        target_true=row.optional_answer("target_true"),
        separator=_separator(row),
        paraphrases=row.texts("paraphrases") if row.has("paraphrases") else (),
        train_paraphrases=row.texts("train_paraphrases") if row.has("train_paraphrases") else (),
        locality=_locality(row) if row.has("locality") else (),
    )
    refuse_repeated(first_lines, request.request_id, row, "id")
    return request


def _separator(row: InputRow) -> Separator | None:
    """What the column `join` says."""
    text = row.optional_text("join")
    if text is None:
        return None
    separator = next((separator for separator in get_args(Separator) if separator == text.strip().lower()), None)
    if separator is None:
        raise RowError("join", f"wanted {', '.join(get_args(Separator))}, or an empty cell{FOUND}{shown(text)}")
    return cast(Separator, separator)


def _locality(row: InputRow) -> tuple[LocalityPrompt, ...]:
    return tuple(
        LocalityPrompt(prompt=prompt.text("prompt"), target=prompt.answer("target"))
        for prompt in row.records("locality")
    )


def _from_cells(row: InputRow) -> InputRow:
    """A row of CSV with its lists taken apart, so that it is like a row of the other formats."""
    values: dict[str, Any] = dict(row.values)
    for column in ("paraphrases", "train_paraphrases"):
        if row.has(column):
            values[column] = row.text(column).split(BETWEEN_ITEMS)
    if row.has("locality"):
        values["locality"] = [_pair(item) for item in row.text("locality").split(BETWEEN_ITEMS)]
    return replace(row, values=values)


def _pair(item: str) -> dict[str, str]:
    parts = item.split(BEFORE_TARGET)
    if len(parts) != 2:
        expected = f"prompt {BEFORE_TARGET} target{BETWEEN_ITEMS}prompt {BEFORE_TARGET} target"
        raise RowError("locality", f"wanted {expected!r}{FOUND}{shown(item)}")
    return {"prompt": parts[0], "target": parts[1]}
