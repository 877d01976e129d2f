"""JSON and hashes: written whole or not at all."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.core.errors import reading

REPRODUCE = "Remove it and run the stage that writes it again (dvc repro)."
"""What to do about a damaged file that a stage wrote."""


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write sorted JSON, whole or not at all. Raises ValueError where a number is NaN or infinite."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n")
    os.replace(unfinished, path)


def read_json(path: Path) -> Any:
    """The values of a JSON file. Raises InputError naming a file that is damaged."""
    with reading(path, "JSON", REPRODUCE, ValueError, RecursionError):
        return json.loads(path.read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def rounded(value: float | None, digits: int = 4) -> float | None:
    """`value` rounded for a metrics file; None for a value that is absent or not finite."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
