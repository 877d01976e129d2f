"""Whether a download is the whole of a file, as far as its format tells: not every server says how long it is."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def unfinished(path: Path, name: str) -> str | None:
    """Why the file, to be called `name`, is no whole JSON array, JSON Lines or Parquet file; None where it is one.

    A file of another format is None: nothing in it says where it ends (`is_told_by_format`).
    """
    reader = _READERS.get(Path(name).suffix.lower())
    try:
        return reader(path) if reader else None
    except (ValueError, RecursionError, pa.ArrowException, OSError) as error:
        return f"no whole {Path(name).suffix[1:]} file ({next(iter(str(error).splitlines()), type(error).__name__)})"


def is_told_by_format(name: str) -> bool:
    """Whether a file of this name shows by itself that its end is missing."""
    return Path(name).suffix.lower() in (".json", ".parquet")


def _json(path: Path) -> str | None:
    values = json.loads(path.read_bytes(), parse_int=str)
    return None if isinstance(values, list) else f"no JSON array; it holds {type(values).__name__}"


def _jsonl(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        if line.strip():
            json.loads(line, parse_int=str)


def _parquet(path: Path) -> None:
    with pq.ParquetFile(path) as file:
        file.metadata  # noqa: B018 - reading the footer is the check


_READERS = {".json": _json, ".jsonl": _jsonl, ".parquet": _parquet}
