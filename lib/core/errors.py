"""What is no bug: mistakes in the data, the settings or the environment, and how they are worded.

Everything else that is raised is a mistake of this project and keeps its traceback.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """Data, a setting or the environment is not what the work needs.

    Its message says where, what was wanted, what was found and what to do; `lib.core.run.run` prints nothing else.
    """


class NotFiniteError(InputError, FloatingPointError):
    """These settings lead to a number that is NaN or infinite."""


_REMEDIES = {
    errno.ENOENT: "there is no such file or folder; `dvc repro` makes what a stage reads",
    errno.EACCES: "permission denied; give this user leave to read and write there",
    errno.EPERM: "permission denied; give this user leave to read and write there",
    errno.EROFS: "the file system is read-only; work in a folder that can be written",
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "the file is larger than the file system or a limit (ulimit -f) allows",
    errno.EISDIR: "wanted a file; found a folder",
    errno.ENOTDIR: "wanted a folder; found a file",
    errno.ELOOP: "wanted a file; found a symbolic link that leads back to itself; remove it, or link it to the file",
    errno.ENAMETOOLONG: "wanted a path; found one that is too long for the file system; give a shorter one",
    errno.EIO: "the disk or the network drive fails to read or write there; copy what is still whole to another one",
    errno.EMFILE: "too many files are open at once; allow more (ulimit -n) and run the same command again",
    errno.ENFILE: "too many files are open at once on this machine; run the same command again later",
    errno.ENXIO: "wanted a file; found a device or a pipe that nothing stands behind",
}
"""What to say of an error of the operating system that is nobody's bug."""


_OF_WRITING = frozenset((errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def user_message(error: BaseException) -> str | None:
    """What to tell the user of `error`; None where it is a bug, which needs its traceback."""
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        target = error.filename2 if error.errno in _OF_WRITING else None  # of a copy, Python names the source first
        where = target or error.filename or error.strerror or str(error)
        return f"{_text(where)}: {_REMEDIES[error.errno]}"
    if isinstance(error, InputError | FileNotFoundError | ConnectionError):
        return str(error)
    return None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within it, an error of the operating system that names no file names `path`.

    Python names none where a file could be opened and takes no more, as on a full disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _REMEDIES and error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def _text(path: str | bytes | int) -> str:
    return path.decode(errors="replace") if isinstance(path, bytes) else str(path)


@contextmanager
def reading(path: Path, content: str, remedy: str, *damage: type[Exception]) -> Iterator[None]:
    """Within it, an error of the classes `damage`, which a reader raises for a damaged file, is an InputError.

    Args:
        path: the file that is read.
        content: what the file should be, as in "a Parquet file".
        remedy: what the user can do, a sentence.
        damage: what the reader of this format raises; Exception for a library that raises what comes. A file that is
            absent, or may not be read, stays an OSError, and too little memory is no damage.
    """
    try:
        yield
    except InputError:
        raise
    except damage as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error):
            raise
        if isinstance(error, OSError) and (error.errno in _REMEDIES or isinstance(error, FileNotFoundError)):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: wanted {content}; found a damaged file ({reason}). {remedy}") from error
