"""Plain text of a dataset: lines of a text file, or articles of a Parquet file as Wikipedia's are published."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from lib.core.errors import InputError
from lib.core.params import Facts
from lib.core.records import Text
from lib.core.tables import parquet
from lib.core.texts import normalize
from lib.data import prose
from lib.data.files import decoded
from lib.data.visible import is_visible

_HELDOUT_PART = 10
"""One in this many of the different pieces is held out."""
_LINE_END = re.compile(r"\r\n|\r|\n")
_BATCH = 1024
"""Articles read at a time: bounds memory, not the result."""


def plain_text(files: Mapping[str, Path], facts: Facts, without: Collection[str] = ()) -> list[Text]:
    """Pieces of the file `text`, facts.text_limit of them drawn at random; without that file, the
    prose that comes with the code (prose.py).

    Some are drawn to be held out. `without` holds normalised titles of articles that are left out, where they have
    titles: those that something is measured with.
    """
    if "text" not in files:
        return prose.text(facts.seed)[: facts.text_limit]
    path, random = files["text"], Random(f"{facts.seed}/text")
    pieces = _articles(path, facts, without) if path.suffix.lower() == ".parquet" else _lines(path)
    if facts.text_limit is not None and facts.text_limit < len(pieces):
        pieces = [pieces[index] for index in sorted(random.sample(range(len(pieces)), facts.text_limit))]
    different = list(dict.fromkeys(pieces))  # a piece that is repeated is held out everywhere or nowhere
    heldout = set(Random(f"{facts.seed}/heldout").sample(different, len(different) // _HELDOUT_PART))
    return [Text(text=piece, split="heldout" if piece in heldout else "train") for piece in pieces]


def _lines(path: Path) -> list[str]:
    lines = [line.strip() for line in _LINE_END.split(decoded(path)) if line.strip()]
    return _seen(lines, path, "lines")


def _seen(texts: Sequence[str | None], path: Path, kind: str) -> list[str]:
    """The texts that show something; how many others there were is logged."""
    seen = [text.strip() for text in texts if text and is_visible(text)]
    if left_out := len(texts) - len(seen):
        logging.getLogger(__name__).warning(
            "%s: %s of %s %s left out, without text", path.name, left_out, len(texts), kind
        )
    return seen


def _articles(path: Path, facts: Facts, without: Collection[str]) -> list[str]:
    """The column `text` of a Parquet file, or, where there are more than facts.text_limit, as many drawn rows of it."""
    with parquet(path, "Put the whole file in its place.") as file:
        columns = file.schema_arrow.names
        if columns.count("text") != 1:
            raise InputError(f"{path}: wanted a column text (and, if it has one, title); found {', '.join(columns)}")
        for name in ("text", "title"):
            _check_texts(path, file.schema_arrow, name)
        if without and "title" in columns:
            usable = [row for row, title in enumerate(_column(file, "title")) if normalize(title or "") not in without]
        else:
            usable = list(range(file.metadata.num_rows))
        if facts.text_limit is not None and facts.text_limit < len(usable):
            usable = Random(f"{facts.seed}/text").sample(usable, facts.text_limit)
        rows = set(usable)
        texts = [text for row, text in enumerate(_column(file, "text")) if row in rows]
    return _seen(texts, path, "rows")


def _check_texts(path: Path, schema: pa.Schema, name: str) -> None:
    """Raise InputError where the file has the column, and it is no column of texts."""
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if field.name == name and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(f"{path}: wanted texts in the column {name}; found values of type {field.type}")


def _column(file: pq.ParquetFile, name: str) -> Iterator[str | None]:
    for batch in file.iter_batches(batch_size=_BATCH, columns=[name]):
        yield from batch.column(0).to_pylist()
