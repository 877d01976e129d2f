"""Zip archives from elsewhere: what may be taken out of one is bounded, in size and in where it goes.

A few kilobytes can stand for terabytes, and a name for any path of this machine.
"""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lib.core.errors import InputError

LARGEST_BYTES = 64 << 30
"""What is taken out of one archive is refused beyond this."""
LARGEST_RATIO = 200
"""And beyond so many bytes for each byte of the archive: text packs to a fifth or a tenth."""
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError,
          OSError, ValueError)  # fmt: skip
"""What zipfile raises for a damaged archive: for lengths and places that are none, what seeking raises."""
_SMALL_BYTES = 1 << 20
"""What is smaller may be packed as well as it likes."""


def files_in(packed: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The archive's entries that are no folders."""
    return [entry for entry in packed.infolist() if not entry.filename.endswith("/")]  # is_dir fails without a name


def check_bounds(archive: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise InputError where the entries to take out are too large, alone or for their archive, or lead elsewhere."""
    size = sum(entry.file_size for entry in entries)
    if size > LARGEST_BYTES:
        raise InputError(
            f"{archive}: wanted at most {LARGEST_BYTES:,} bytes in it; found {size:,}. It is not unpacked."
        )
    packed = archive.stat().st_size
    if size > max(_SMALL_BYTES, LARGEST_RATIO * packed):
        raise InputError(
            f"{archive}: wanted at most {LARGEST_RATIO} bytes in it for each of its own; found {size:,} in {packed:,}. "
            "It is not unpacked: archives like that are made to fill a disk."
        )
    for entry in entries:
        relative(archive, entry)


def relative(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """Where an entry goes, relative to the folder that it stays in.

    Raises InputError where its name leads out of the folder or is none, or where it is a link.
    """
    path = PurePosixPath(entry.filename)
    outside = (
        not path.parts or path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename
    )
    if outside or stat.S_ISLNK(entry.external_attr >> 16):
        raise InputError(f"{archive}: wanted files inside of one folder; found {entry.filename!r}. It is not unpacked.")
    return path
