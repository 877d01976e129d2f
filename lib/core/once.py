"""A warning that several stages have, each a process of its own, is logged by the first of them."""

from collections.abc import Sequence
from pathlib import Path

from lib.core.files import read_json, write_json


def unlogged(lines: Sequence[str], record: Path, settings: Path) -> list[str]:
    """Those of `lines` that are not in `record` since the file `settings` was last written; `record` then has them.

    Whoever sets a key anew is warned anew; the stages that come after the first one repeat nothing.
    """
    is_recent = record.is_file() and record.stat().st_mtime_ns >= settings.stat().st_mtime_ns
    logged: list[str] = read_json(record)["lines"] if is_recent else []
    new = [line for line in lines if line not in logged]
    if new:
        record.parent.mkdir(exist_ok=True)
        write_json(record, {"lines": [*logged, *new]})
    return new
