"""Scratch space for work that may be killed: finished pieces survive and are found again by what they were made from.

It lies outside of DVC's outputs, in .scratch/<stage>/<fingerprint>/ of the main repository, also when DVC runs an
experiment in a temporary copy. The fingerprint covers inputs, parameters and code, so a stale piece is never found.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock

from lib.params import ROOT
from lib.stage import sha256


def fingerprint(**parts: Any) -> str:
    """A short hash of named values; a Path stands for the content of its file or folder."""
    return _hash(json.dumps({name: _content(value) for name, value in parts.items()}, sort_keys=True))


def code_fingerprint() -> str:
    """A hash of the library's source: another version of the code never continues this version's work."""
    return fingerprint(**{str(path.relative_to(ROOT)): path for path in (ROOT / "lib").rglob("*.py")})


def _content(value: Any) -> Any:
    if isinstance(value, Path):
        files = sorted(one for one in value.rglob("*") if one.is_file()) if value.is_dir() else [value]
        return [(one.name, sha256(one)) for one in files]
    return value


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def scratch(stage: str, key: str, lock: bool = True) -> Iterator[Path]:
    """The folder of this piece of work, under a lock: two runs of the same work take turns.

    Without `lock` the caller sees to that (lib/shared_scratch.py, for several processes).
    """
    folder = Path(os.environ.get("DVC_ROOT", ROOT)) / ".scratch" / stage / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_of(folder)) if lock else nullcontext():
        yield folder


def lock_of(folder: Path) -> Path:
    """The file whose lock a piece of work runs under."""
    return folder.with_name(f"{folder.name}.lock")


def forget(folder: Path) -> None:
    """Remove the pieces of finished work; the folder stays for whoever waits for its lock."""
    for piece in folder.iterdir():
        shutil.rmtree(piece) if piece.is_dir() else piece.unlink()
