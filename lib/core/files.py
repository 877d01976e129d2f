"""JSON and hashes, and how a file or folder gets its name: whole or not at all."""

import csv
import errno
import hashlib
import json
import logging
import math
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lib.core.errors import InputError, reading, writing

T = TypeVar("T")
REPRODUCE = "Remove it and run the stage that writes it again (dvc repro)."
"""What to do about a damaged file that a stage wrote."""
HASHES = "sha256.json"
"""SHA-256 of the files beside it, by name."""


def put_in_place(unfinished: Path, target: Path) -> None:
    """Rename `unfinished`, a file or a folder, to `target`, in place of a file or an empty folder of that name.

    Its content is on the disk before it has the name, and the name is before this returns, so that a machine that stops
    leaves `target` whole or absent, never cut.
    """
    content = [*unfinished.rglob("*"), unfinished] if unfinished.is_dir() else [unfinished]
    for path in content:
        _sync(path)
    os.replace(unfinished, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Have the operating system write a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that do not sync folders
            raise
    finally:
        os.close(descriptor)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Where to write the file `target`, which gets it whole when the block ends, and stays as it is where that fails.

    Raises OSError that names `target` where the disk takes no more.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with writing(target):
            yield unfinished
            put_in_place(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends, in the place of one that is there, and is gone where
    that fails."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        shutil.rmtree(target, ignore_errors=True)
        put_in_place(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write sorted JSON, whole or not at all. Raises ValueError where a number is NaN or infinite."""
    text = json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"
    with replacing(path) as unfinished:
        unfinished.write_text(text)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write these columns of the rows with a header, whole or not at all. Raises ValueError where a row has others."""
    with replacing(path) as unfinished, unfinished.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_json(path: Path, remedy: str = REPRODUCE) -> Any:
    """The values of a JSON file. Raises InputError with `remedy`, a sentence, where it is damaged, or no file."""
    check_regular(path)
    with reading(path, "JSON", remedy, ValueError, RecursionError):
        return json.loads(path.read_text(encoding="utf-8"))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises InputError naming a file that is damaged, or holds something else."""
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: wanted a JSON object; found {type(values).__name__}. {REPRODUCE}")
    return values


def check_regular(path: Path) -> None:
    """Raise InputError where `path` is a folder, a pipe, a device or a socket, from which reading may never end.

    Raises FileNotFoundError where it is absent.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return
    kinds = {
        "a folder": stat.S_ISDIR(mode),
        "a named pipe (FIFO)": stat.S_ISFIFO(mode),
        "a socket": stat.S_ISSOCK(mode),
        "a device": stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    }
    kind = next((name for name, is_kind in kinds.items() if is_kind), "something else")
    raise InputError(f"{path}: wanted a regular file; found {kind}. Put what it holds into a file.")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_hashes(folder: Path, *apart: str) -> dict[str, str]:
    """SHA-256 of every file in `folder`, by name, those called `apart` left out."""
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and file.name not in apart)
    return {file.name: sha256(file) for file in files}


def write_hashes(folder: Path) -> None:
    """Note in `folder` what its files hold, for `check_hashes`."""
    write_json(folder / HASHES, file_hashes(folder, HASHES))


def check_hashes(folder: Path) -> None:
    """Raise InputError where a file of `folder` is another one than `write_hashes` noted, FileNotFoundError where the
    note is absent."""
    refuse_changed(folder, read_json(folder / HASHES), REPRODUCE)


def refuse_changed(folder: Path, hashes: Mapping[str, str], remedy: str) -> None:
    """Raise InputError with `remedy`, a sentence, where a file of `hashes` is absent from `folder`, or another one."""
    for name, expected in hashes.items():
        actual = sha256(folder / name) if (folder / name).is_file() else "no such file"
        if actual != expected:
            raise InputError(f"{folder / name}: wanted sha256 {expected}, as was noted; found {actual}. {remedy}")


def newest_sound(paths: Sequence[Path], load: Callable[[Path], T]) -> T | None:
    """What `load` gives for the newest of `paths`, oldest first, that it can read; None where it can read none.

    `load` raises InputError or FileNotFoundError for one that is damaged, which is told and stays where it is.
    """
    for index, path in reversed(list(enumerate(paths))):
        try:
            return load(path)
        except (InputError, FileNotFoundError) as error:
            instead = f"going on from {paths[index - 1].name}" if index else "the work starts anew"
            logging.getLogger(__name__).warning("%s: passed over, %s (%s)", path, instead, error)
    return None


def rounded(value: float | None, digits: int = 4) -> float | None:
    """`value` rounded for a metrics file; None for a value that is absent or not finite."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
